//! `make demo` shows what it says.

use holdfast_rig::demo::{AtTheEnd, Verdict, run};

use super::stage::binary;

#[tokio::test(flavor = "multi_thread")]
async fn every_scene_of_the_demo_ends_as_it_must_and_the_books_agree() {
    let verdict = run(AtTheEnd::Stop, Some(binary())).await.unwrap();
    assert_eq!(verdict, Verdict::Sound, "what is wrong was printed");
}
