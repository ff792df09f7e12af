//! The frame around every page, and the page that is shown when there is none.

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::session::{Entered, Who};
use crate::api::intake::IntakeError;
use crate::api::v1::Scope;
use crate::api::v1::problem::Problem;
use crate::operate::find::FindError;
use crate::operate::overview::NotCounted;
use crate::operate::planning::PlanError;
use crate::operate::switches::SwitchError;
use crate::store::StoreError;

/// Which page it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    Overview,
    Payments,
    Plans,
    Switches,
}

/// A page for somebody who is logged in. `live` says how often the parts that change are asked for
/// again, in seconds.
pub(super) fn framed(
    who: &Who,
    (title, page, live): (&str, Page, u32),
    body: &Markup,
) -> Html<String> {
    let link = |to: &str, name: &str, is: Page, key: &str| {
        html! {
            a href=(to) aria-current=[(is == page).then_some("page")] {
                (name) " " kbd aria-hidden="true" { (key) }
            }
        }
    };
    document(
        title,
        &html! {
            a.skip href="#main" { "To the page" }
            header.top {
                a.brand href="/desk" { span.mark aria-hidden="true" {} "Holdfast" }
                nav aria-label="Pages" {
                    (link("/desk", "Overview", Page::Overview, "g o"))
                    (link("/desk/payments", "Payments", Page::Payments, "g p"))
                    // Plans are for whoever may operate.
                    @if who.caller.may(Scope::Operate).is_ok() {
                        (link("/desk/plans", "Reruns", Page::Plans, "g r"))
                    }
                    (link("/desk/switches", "Stop and go", Page::Switches, "g s"))
                }
                span.spring {}
                @if live > 0 {
                    span #state.live role="status" data-live=(live) { "as of this load" }
                }
                @match who.entered {
                    Entered::ByKey => form.leave method="post" action="/desk/logout" {
                        input type="hidden" name="mark" value=(who.mark);
                        span.who title="The key you logged in with" { (who.caller.name()) }
                        button.quiet type="submit" { "Log out" }
                    },
                    Entered::Freely => span.who { "no key needed: development" },
                }
            }
            main #main tabindex="-1" { (body) }
            footer {
                span { "Times are UTC; rest the pointer on one to see it whole." }
                span.keys {
                    kbd { "/" } " find  " kbd { "j" } " " kbd { "k" } " down, up  "
                    kbd { "Enter" } " open"
                }
            }
        },
    )
}

/// A page for nobody in particular.
pub(super) fn bare(title: &str, body: &Markup) -> Html<String> {
    document(title, &html! { main.bare #main { (body) } })
}

fn document(title: &str, body: &Markup) -> Html<String> {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Holdfast" }
                link rel="icon" href="/desk/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/desk/desk.css";
                script src="/desk/desk.js" defer {}
            }
            body { (body) }
        }
    };
    Html(page.into_string())
}

/// Why there is no page.
#[derive(Debug)]
pub(super) struct Trouble {
    status: StatusCode,
    title: &'static str,
    told: String,
}

impl Trouble {
    fn new(status: StatusCode, title: &'static str, told: impl Into<String>) -> Self {
        Self {
            status,
            title,
            told: told.into(),
        }
    }

    pub(super) fn nothing(told: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not here", told)
    }

    pub(super) fn forbidden(told: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Not allowed", told)
    }

    pub(super) fn wrong(told: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Not understood", told)
    }

    pub(super) fn away() -> Self {
        let told = "Redis did not answer in time. If you gave a command, whether it was recorded is not \
                    known: look again before you repeat it.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "No answer", told)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Problem::from(error).into()
    }
}

impl From<SwitchError> for Trouble {
    fn from(error: SwitchError) -> Self {
        match error {
            SwitchError::Store(error) => error.into(),
            SwitchError::Foreign(_) | SwitchError::Busy(_) => Self::wrong(error.to_string()),
        }
    }
}

impl From<IntakeError> for Trouble {
    fn from(error: IntakeError) -> Self {
        Problem::from(error).into()
    }
}

impl From<FindError> for Trouble {
    fn from(error: FindError) -> Self {
        match error {
            FindError::Store(error) => error.into(),
            FindError::Cursor(_) => Self::wrong("The page to go on from is none. Begin anew."),
            FindError::NoAccount => Self::wrong("A reference is looked for within an account."),
        }
    }
}

impl From<PlanError> for Trouble {
    fn from(error: PlanError) -> Self {
        Problem::from(error).into()
    }
}

impl From<NotCounted> for Trouble {
    fn from(error: NotCounted) -> Self {
        let told = error.to_string();
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "Not counted yet", told)
    }
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        let field = problem.field.map_or(String::new(), |it| format!("{it}: "));
        Self {
            status: problem.code.status(),
            title: problem.code.title(),
            told: format!("{field}{}", problem.detail),
        }
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let body = html! {
            section.trouble {
                h1 { (self.title) }
                p { (self.told) }
                p { a.button href="/desk" { "To the overview" } }
            }
        };
        (self.status, bare(self.title, &body)).into_response()
    }
}
