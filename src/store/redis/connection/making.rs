//! How the link is made, and looked at: whether what answers there can be used, and is good enough to
//! move money.

use std::sync::Weak;
use std::sync::atomic::Ordering;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Value};
use tokio::time::timeout;

use super::{Live, Shared, State};
use crate::store::redis::call;
use crate::store::redis::durability::{Inspection, question};
use crate::store::redis::trouble::{LinkFault, Pause, refusal, refused, unreachable};

/// Runs until there is a connection or nobody wants one any more.
pub(super) async fn connect_again(shared: Weak<Shared>) {
    let mut pause = Pause::default();
    loop {
        pause.rest().await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        match shared.establish().await {
            Ok(live) => {
                tracing::info!("connected to Redis again");
                shared.state.send_replace(State::Up(live));
                return;
            }
            Err(fault) => {
                shared.state.send_replace(State::Down(fault.into_text()));
            }
        }
    }
}

impl Shared {
    pub(super) async fn establish(&self) -> Result<Live, LinkFault> {
        let patience = self.connect_timeout + self.response_timeout;
        let late = |_| LinkFault::Unreachable(format!("no answer within {patience:?}"));
        timeout(patience, self.establish_slowly())
            .await
            .map_err(late)?
    }

    async fn establish_slowly(&self) -> Result<Live, LinkFault> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(Some(self.response_timeout));
        let mut connection = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(|error| unreachable(&error))?;
        self.inspect(&mut connection).await?;
        let scripts = call::load_all();
        let loaded = connection
            .send_packed_commands(&scripts, 0, scripts.len())
            .await;
        for reply in loaded.map_err(|error| unreachable(&error))? {
            refused(reply).map_err(|error| LinkFault::Unusable(error.to_string()))?;
        }
        let epoch = self.epochs.fetch_add(1, Ordering::Relaxed);
        Ok(Live { connection, epoch })
    }

    pub(super) async fn inspect(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> Result<(), LinkFault> {
        let question = question(&self.wake_up);
        let answers = connection
            .send_packed_commands(&question, 0, question.len())
            .await;
        let answers = answers.map_err(|error| unreachable(&error))?;
        if let Some(Value::ServerError(error)) = answers.first() {
            return Err(match error.code() {
                "LOADING" => LinkFault::Unreachable("it is still loading".to_owned()),
                _ => LinkFault::Unusable(refusal(error)),
            });
        }
        let seen = Inspection::read(&answers);
        if seen.loading {
            return Err(LinkFault::Unreachable("it is still loading".to_owned()));
        }
        seen.check_usable().map_err(LinkFault::Unusable)?;
        self.take_note(seen);
        Ok(())
    }

    fn take_note(&self, seen: Inspection) {
        let mut known = self.known();
        let seen = seen.after(known.seen.as_ref());
        let durability = seen.check_durable(self.profile);
        if known.lineage.as_ref() != Some(&seen.lineage) {
            if known.lineage.is_some() {
                tracing::warn!(
                    event = "redis_replaced",
                    "Redis was restarted or replaced; what is claimed is claimed anew"
                );
            }
            known.lineage = Some(seen.lineage.clone());
            known.number += 1;
        }
        if known.durability != durability {
            if let Err(lack) = &durability {
                tracing::error!(event = "money_stopped", %lack, "money steps stop");
            } else {
                tracing::info!(
                    event = "money_resumed",
                    "Redis is durable again; money steps go on"
                );
            }
        }
        known.durability = durability;
        let deaf = seen.deafness();
        if let Some(problem) = deaf.filter(|_| known.seen.is_some()) {
            tracing::warn!(
                event = "hints_refused",
                problem,
                "workers find new work later than they could"
            );
        }
        known.seen = Some(seen);
    }
}
