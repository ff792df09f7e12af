//! `make desk`: the operator's desk in a real browser, beside a whole installation: each page in light and
//! dark, wide and narrow; the keys; a rerun of a parked payment, and one of many that was planned. What
//! was seen is kept as images.

#![allow(clippy::print_stdout, reason = "what people see")]

mod browser;
mod planning;
mod scenes;

use std::net::TcpListener;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use chip_sandbox::MovementKind;
use holdfast::api::intake::{self, Given};
use holdfast::payment::{Command, IdempotencyKey, PaymentId};
use holdfast::store::audit::Mandate;

use self::browser::{Browser, Look};
use self::scenes::Scenes;
use crate::fleet::WorkerProcess;
use crate::works::{Pace, Works};

/// Where the images go.
const IMAGES: &str = "target/desk";
const LOOKS: [Look; 4] = [
    look("wide-light", 1_440, 900, "light"),
    look("wide-dark", 1_440, 900, "dark"),
    look("phone-light", 390, 844, "light"),
    look("phone-dark", 390, 844, "dark"),
];

const fn look(name: &'static str, width: u32, height: u32, scheme: &'static str) -> Look {
    Look {
        name,
        width,
        height,
        scheme,
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Every page was as it must be.
    All,
    /// There is no browser.
    Nothing,
}

/// An installation, and a person in front of a browser.
struct Visit {
    works: Works,
    _worker: WorkerProcess,
    browser: Browser,
    desk: String,
    key: String,
    scenes: Scenes,
    images: PathBuf,
}

/// Looks at every page.
pub async fn run() -> anyhow::Result<Seen> {
    let Some(browser) = Browser::start().await? else {
        return Ok(Seen::Nothing);
    };
    let sandbox = chip_sandbox::Config {
        keep_requests: false,
        ..chip_sandbox::Config::default()
    };
    let mut works = Works::start(Pace::QUICK, sandbox, None).await?;
    let key = works.api_key("aisyah")?;
    let address = free_address()?;
    works.set("HOLDFAST__API__LISTEN", address.clone());
    // Nobody listens there, so that events wait.
    let events = format!("http://{}/", free_address()?);
    works.set("HOLDFAST__ENDPOINTS__BOOKINGS__URL", events);
    let secret = holdfast::worker::outbox::SigningSecret::fresh();
    works.set("HOLDFAST__ENDPOINTS__BOOKINGS__SECRETS", secret.as_str());
    let worker = works.worker("desk")?;
    println!("an installation is up; payments of every kind are made");
    let scenes = Scenes::play(&works).await?;
    std::fs::create_dir_all(IMAGES)?;
    let visit = Visit {
        works,
        _worker: worker,
        browser,
        desk: format!("http://{address}/desk"),
        key,
        scenes,
        images: PathBuf::from(IMAGES),
    };
    visit.enters().await?;
    visit.looks_at_every_page().await?;
    visit.moves_by_keys().await?;
    visit.reruns().await?;
    visit.plans().await?;
    visit.stops().await?;
    visit.hears_of_changes().await?;
    visit.leaves().await?;
    println!("the images are in {IMAGES}");
    Ok(Seen::All)
}

fn free_address() -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.to_string())
}

impl Visit {
    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.desk)
    }

    async fn enters(&self) -> anyhow::Result<()> {
        for _ in 0..100 {
            let host = self.desk.trim_start_matches("http://");
            let host = host.split('/').next().unwrap_or_default();
            if tokio::net::TcpStream::connect(host).await.is_ok() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        self.browser.open(&self.at("")).await?;
        self.browser.until("API key").await?;
        self.photographs("login").await?;
        self.browser.types("#key", "hf_wrong").await?;
        self.browser.click("button").await?;
        self.browser.until("not known").await?;
        // The browser says that such a page came with 401, which it did.
        self.browser.complaints().await?;
        self.browser.types("#key", &self.key).await?;
        self.browser.types("", "\u{e007}").await?;
        self.browser.until("Overview").await?;
        println!("logged in");
        Ok(())
    }

    async fn looks_at_every_page(&self) -> anyhow::Result<()> {
        let of = |id: &PaymentId| format!("/payments/{id}");
        let pages = [
            ("overview", String::new()),
            ("payments", "/payments".to_owned()),
            ("payments-parked", "/payments?state=parked".to_owned()),
            ("payments-none", "/payments?id=ffffffffffffffff".to_owned()),
            ("plans-none", "/plans".to_owned()),
            ("payment-parked", of(&self.scenes.parked)),
            ("payment-doubt", of(&self.scenes.in_doubt)),
            ("payment-held", of(&self.scenes.held)),
            ("payment-paid", of(&self.scenes.paid)),
            ("payment-failed", of(&self.scenes.failed)),
            (
                "confirm-rerun",
                format!("{}/rerun", of(&self.scenes.parked)),
            ),
            (
                "confirm-capture",
                format!("{}/capture", of(&self.scenes.held)),
            ),
            (
                "confirm-reschedule",
                format!("{}/reschedule", of(&self.scenes.held)),
            ),
            ("switches", "/switches".to_owned()),
            ("confirm-pause", "/switches/account:hotel".to_owned()),
        ];
        for (name, path) in &pages {
            self.browser.open(&self.at(path)).await?;
            self.photographs(name).await?;
            self.is_sound(name).await?;
            println!("{name}: seen");
        }
        self.browser.open(&self.at("/payments/nothing")).await?;
        self.browser.until("Not here").await?;
        self.photographs("trouble").await?;
        // It is a 404, and the browser says so.
        self.browser.complaints().await.map(drop)
    }

    /// An image in every size and colour; no page is wider than the window.
    async fn photographs(&self, name: &str) -> anyhow::Result<()> {
        for look in LOOKS {
            self.browser.looks(look).await?;
            // The window of a phone grows with what is too wide for it: its own width does not.
            let width = "document.documentElement.scrollWidth";
            let width = self.browser.asks(width).await?.as_u64();
            ensure!(
                width.is_some_and(|width| width <= u64::from(look.width)),
                "{name} is wider than the window, {}: {width:?}",
                look.name
            );
            let file = self.images.join(format!("{name}-{}.png", look.name));
            self.browser.photograph(&file).await?;
        }
        self.browser.looks(LOOKS[0]).await
    }

    /// Nothing that the browser complains of, and nothing on the page that is nobody's to see.
    async fn is_sound(&self, name: &str) -> anyhow::Result<()> {
        let complaints = self.browser.complaints().await?;
        ensure!(complaints.is_empty(), "{name}: {complaints:?}");
        let source = self.browser.source().await?;
        for secret in self.scenes.secrets.iter().chain([&self.key]) {
            ensure!(!source.contains(secret), "{name} shows a secret");
        }
        Ok(())
    }

    /// From the overview to a payment without a mouse.
    async fn moves_by_keys(&self) -> anyhow::Result<()> {
        self.browser.open(&self.at("")).await?;
        self.browser.types("body", "gp").await?;
        self.browser.until("looked at").await?;
        ensure!(self.browser.address().await?.ends_with("/desk/payments"));
        self.browser.types("body", "/").await?;
        self.browser.types("", "pay_").await?;
        let typed = self.browser.asks("document.activeElement.value").await?;
        ensure!(typed == "pay_", "{typed} was typed into the search");
        self.browser.types("", "\u{e00c}").await?;
        self.browser.types("body", "jj").await?;
        let row = self
            .browser
            .asks("document.activeElement.dataset.row")
            .await?;
        ensure!(row == "", "no row has the focus");
        self.browser.looks(LOOKS[1]).await?;
        let file = self.images.join("keys-wide-dark.png");
        self.browser.photograph(&file).await?;
        self.browser.types("", "\u{e007}").await?;
        self.browser.until("What happened").await?;
        ensure!(
            self.browser
                .address()
                .await?
                .contains("/desk/payments/pay_")
        );
        self.is_sound("keys").await?;
        println!("the keys lead from page to page");
        Ok(())
    }

    /// A parked payment is run again, with a reason; under `park` a look is all that comes of it.
    async fn reruns(&self) -> anyhow::Result<()> {
        self.browser
            .open(&self.at("/payments?state=parked"))
            .await?;
        let id = &self.scenes.parked;
        self.browser.click(&format!("a[href$='{id}']")).await?;
        self.browser.click("a[href$='/rerun']").await?;
        self.browser
            .types("[name=reason]", "the bank says it never came")
            .await?;
        self.browser.click(".confirm .primary").await?;
        self.browser
            .until("Recorded. A worker carries it out now.")
            .await?;
        self.browser
            .until("rerun by key:aisyah (the bank says it never came)")
            .await?;
        self.photographs("rerun-done").await?;
        self.is_sound("rerun").await?;
        let ledger = self.works.sandbox.ledger();
        let moved = ledger.movements_for_reference(id.as_str());
        let charges = moved
            .iter()
            .filter(|it| it.kind == MovementKind::Charge)
            .count();
        ensure!(charges == 0, "a rerun under park charged {charges} times");
        println!("a parked payment was run again, and nothing was charged");
        Ok(())
    }

    /// What happens while the page stands open comes up on it by itself.
    async fn hears_of_changes(&self) -> anyhow::Result<()> {
        let id = &self.scenes.held;
        self.browser
            .open(&self.at(&format!("/payments/{id}")))
            .await?;
        self.browser.until("live").await?;
        let policies = holdfast::worker::Policies::new();
        let given = Given {
            to: id,
            key: &IdempotencyKey::new("release-it")?,
            command: &Command::Release,
            by: &Mandate::typed_by("farid"),
        };
        let (store, clock) = (&self.works.store, &self.works.clock);
        let released = intake::command(store, clock, &policies, given);
        released.await.context("the release")?;
        self.browser.until("The hold was given back.").await?;
        self.is_sound("live").await?;
        println!("a page hears of what happens");
        // By now there is something on the charts.
        self.browser.open(&self.at("")).await?;
        self.photographs("overview-later").await?;
        self.is_sound("overview-later").await
    }

    async fn leaves(&self) -> anyhow::Result<()> {
        self.browser.click(".leave button").await?;
        self.browser.until("API key").await?;
        self.browser.open(&self.at("/payments")).await?;
        self.browser.until("API key").await?;
        println!("logged out");
        Ok(())
    }
}
