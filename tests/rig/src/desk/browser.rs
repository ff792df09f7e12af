//! A headless Chromium, driven by its own driver (`chromedriver`) over W3C's protocol for that.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use base64::Engine as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// How long anything may take to come up on a page.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);
/// What the protocol calls an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window. It ends when it is dropped.
pub(super) struct Browser {
    driver: String,
    session: String,
    _process: Child,
}

/// How large the window is, and in which colours the person likes pages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) name: &'static str,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) scheme: &'static str,
}

impl Browser {
    /// Starts one; `None` when Chromium or its driver is not installed.
    pub(super) async fn start() -> anyhow::Result<Option<Self>> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let driver = listener.local_addr()?.to_string();
        drop(listener);
        let port = driver.rsplit(':').next().unwrap_or_default();
        let started = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let Ok(process) = started else {
            return Ok(None);
        };
        for _ in 0..100 {
            if TcpStream::connect(&driver).await.is_ok() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"args": [
                "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars",
                "--no-proxy-server", "--window-size=1440,900",
            ]},
        }}});
        let answer = call(&driver, "POST", "/session", Some(&wanted)).await?;
        let session = answer["sessionId"].as_str().context("no session")?;
        Ok(Some(Self {
            session: session.to_owned(),
            driver,
            _process: process,
        }))
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let path = format!("/session/{}{path}", self.session);
        call(&self.driver, "POST", &path, Some(body)).await
    }

    async fn read(&self, path: &str) -> anyhow::Result<Value> {
        let path = format!("/session/{}{path}", self.session);
        call(&self.driver, "GET", &path, None).await
    }

    async fn devtools(&self, command: &str, params: Value) -> anyhow::Result<Value> {
        let body = json!({"cmd": command, "params": params});
        self.post("/goog/cdp/execute", &body).await
    }

    pub(super) async fn open(&self, url: &str) -> anyhow::Result<()> {
        self.post("/url", &json!({"url": url})).await.map(drop)
    }

    pub(super) async fn address(&self) -> anyhow::Result<String> {
        let url = self.read("/url").await?;
        Ok(url.as_str().unwrap_or_default().to_owned())
    }

    /// What a script answers on the page.
    pub(super) async fn asks(&self, script: &str) -> anyhow::Result<Value> {
        let body = json!({"script": format!("return {script}"), "args": []});
        self.post("/execute/sync", &body).await
    }

    pub(super) async fn text(&self) -> anyhow::Result<String> {
        let text = self.asks("document.body.innerText").await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// All of the page as the browser got it.
    pub(super) async fn source(&self) -> anyhow::Result<String> {
        let source = self.read("/source").await?;
        Ok(source.as_str().unwrap_or_default().to_owned())
    }

    async fn element(&self, selector: &str) -> anyhow::Result<String> {
        let body = json!({"using": "css selector", "value": selector});
        let mut last = None;
        for _ in 0..50 {
            match self.post("/element", &body).await {
                Ok(found) => {
                    let id = found[ELEMENT].as_str().context("no element")?;
                    return Ok(id.to_owned());
                }
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("never asked"))).context(selector.to_owned())
    }

    pub(super) async fn click(&self, selector: &str) -> anyhow::Result<()> {
        let element = self.element(selector).await?;
        let path = format!("/element/{element}/click");
        self.post(&path, &json!({})).await.map(drop)
    }

    /// Types into what is named, or, with `""`, into whatever has the focus.
    pub(super) async fn types(&self, selector: &str, text: &str) -> anyhow::Result<()> {
        let element = if selector.is_empty() {
            let active = self.read("/element/active").await?;
            active[ELEMENT].as_str().context("no focus")?.to_owned()
        } else {
            self.element(selector).await?
        };
        let path = format!("/element/{element}/value");
        self.post(&path, &json!({"text": text})).await.map(drop)
    }

    /// Waits until the page shows this.
    pub(super) async fn until(&self, what: &str) -> anyhow::Result<()> {
        let waiting = async {
            loop {
                if self.text().await?.contains(what) {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(done) => done,
            Err(_) => bail!(
                "{what:?} never came up; the page says: {}",
                self.text().await?
            ),
        }
    }

    pub(super) async fn looks(&self, look: Look) -> anyhow::Result<()> {
        let scheme = json!({"features": [{"name": "prefers-color-scheme", "value": look.scheme}]});
        self.devtools("Emulation.setEmulatedMedia", scheme).await?;
        let size = json!({
            "width": look.width, "height": look.height, "deviceScaleFactor": 1, "mobile": look.width < 600,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", size)
            .await
            .map(drop)
    }

    /// Keeps the whole page as an image.
    pub(super) async fn photograph(&self, file: &Path) -> anyhow::Result<()> {
        let params = json!({"format": "png", "captureBeyondViewport": true});
        let shot = self.devtools("Page.captureScreenshot", params).await?;
        let image = shot["data"].as_str().context("no image")?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(image)?;
        Ok(std::fs::write(file, bytes)?)
    }

    /// What the browser complained of since the last time: scripts that broke, what its policy forbade.
    pub(super) async fn complaints(&self) -> anyhow::Result<Vec<String>> {
        let log = self.post("/se/log", &json!({"type": "browser"})).await?;
        let entries = log.as_array().into_iter().flatten();
        let told = |entry: &Value| entry["message"].as_str().unwrap_or_default().to_owned();
        Ok(entries.map(told).collect())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browser when the session is over, and does not when it is killed.
        let (driver, session) = (self.driver.clone(), self.session.clone());
        let ending = std::thread::spawn(move || {
            use std::io::{Read, Write};
            let mut stream = std::net::TcpStream::connect(driver).ok()?;
            stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
            write!(
                stream,
                "DELETE /session/{session} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            )
            .ok()?;
            stream.read(&mut [0; 1]).ok()
        });
        drop(ending.join());
    }
}

/// One call of the driver.
async fn call(
    driver: &str,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> anyhow::Result<Value> {
    let body = body.map(ToString::to_string).unwrap_or_default();
    let mut stream = TcpStream::connect(driver).await?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {driver}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    let mut answer = Vec::new();
    let mut part = vec![0; 1 << 16];
    let whole = loop {
        let read = stream.read(&mut part).await?;
        answer.extend_from_slice(&part[..read]);
        if let Some(whole) = body_of(&answer)? {
            break whole;
        }
        anyhow::ensure!(read > 0, "the driver's answer ended early");
    };
    let mut told: Value = serde_json::from_slice(whole)?;
    let value = told["value"].take();
    if let Some(error) = value["error"].as_str() {
        let message = value["message"].as_str().unwrap_or_default();
        bail!("{error}: {}", message.lines().next().unwrap_or_default());
    }
    Ok(value)
}

/// The body, once all of it has come.
fn body_of(answer: &[u8]) -> anyhow::Result<Option<&[u8]>> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&answer[..end])?.to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .context("no length")?;
    let length: usize = length.trim().parse()?;
    Ok(answer.get(end + 4..end + 4 + length))
}
