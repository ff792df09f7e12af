//! `Worker::look_up`, at any time: a webhook may ask for it. Where nobody sleeps over it, question
//! and answer are one action.

use super::action::Act;
use super::payment::{Age, NONE, Payment, Step};
use super::sighting::{Question, Shows, Sighting};
use super::worker::At;
use super::world::World;
use crate::setup::{Dated, Setup};

/// Worker `w` asks, and has its answer unless that may take long. Looks that change nothing are left
/// out.
pub(crate) fn begin(world: &World, w: usize, setup: &Setup) -> Vec<(Act, World)> {
    let payment = &world.workers[w].payment;
    if payment.is_finished() || payment.purchase == NONE {
        return Vec::new();
    }
    let question = ask(payment);
    if setup.around.slow_looks {
        let mut next = *world;
        next.workers[w].at = At::Looking;
        next.workers[w].question = Some(question);
        return vec![(Act::Ask(payment.purchase), next)];
    }
    let all = answers(world, payment).into_iter();
    all.map(|answer| judge(world, w, question, answer, setup))
        .filter(|(_, next)| next.workers[w].payment != *payment)
        .collect()
}

/// The gateway answers, and later the worker goes on from there.
pub(crate) fn go_on(world: &World, w: usize, setup: &Setup) -> Vec<(Act, World)> {
    let worker = &world.workers[w];
    let Some(question) = worker.question else {
        return Vec::new();
    };
    let id = worker.payment.purchase;
    if let Some(answer) = question.answer {
        return vec![judge(world, w, question, answer, setup)];
    }
    let answered = answers(world, &worker.payment).into_iter().map(|answer| {
        let mut next = *world;
        next.workers[w].question = Some(Question {
            answer: Some(answer),
            ..question
        });
        (Act::IsAnswered(id, answer.0, answer.1), next)
    });
    answered.collect()
}

fn ask(payment: &Payment) -> Question {
    Question {
        quiet: payment.open.is_some_and(|open| open.age == Age::Quiet),
        seal_quiet: payment.seal_seen == Some(Age::Quiet),
        asked: Age::Fresh,
        answer: None,
    }
}

fn answers(world: &World, payment: &Payment) -> Vec<(Shows, bool)> {
    let charge = payment.open.filter(|open| open.step == Step::Charge);
    let known = charge.map_or(u8::MAX, |open| open.declines_before);
    world.gateway.shows(payment.purchase, known)
}

/// Dates the answer, and takes it in.
fn judge(
    world: &World,
    w: usize,
    question: Question,
    (shows, stale): (Shows, bool),
    setup: &Setup,
) -> (Act, World) {
    let mut next = *world;
    let worker = &mut next.workers[w];
    worker.at = At::Deciding;
    worker.question = None;
    let id = worker.payment.purchase;
    let dated = setup.rules.dated;
    if dated == Dated::QuestionInTime && question.asked == Age::Quiet {
        return (Act::LookTooLate(id), next);
    }
    let since = if dated == Dated::Answer {
        ask(&worker.payment)
    } else {
        question
    };
    let began = if dated == Dated::Answer {
        Age::Fresh
    } else {
        question.asked
    };
    let seen = Sighting {
        shows,
        quiet: since.quiet,
        seal_quiet: since.seal_quiet,
        began,
    };
    worker.saw(seen, setup);
    (Act::Look(id, shows, stale), next)
}
