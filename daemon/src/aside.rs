//! Work that may have to wait for another program, on a thread of its own: asking who a user or a group is, which a directory
//! service answers when it likes.
//!
//! Used by the server, which reads the settings again, and by CONFIG SET. The runtime's own threads are not taken for it: reads
//! need them, and a runtime that ends waits for what they do.

use std::sync::Arc;
use std::thread;

use tokio::sync::{Semaphore, oneshot};

/// Where such work is done, one piece at a time: whoever wants more done waits for their turn, in order.
#[derive(Clone, Debug)]
pub struct Aside {
    turn: Arc<Semaphore>,
}

impl Default for Aside {
    fn default() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)) }
    }
}

impl Aside {
    /// What `work` gives. Where the one who waits for that goes away, the work goes on, and nothing else is begun before its end.
    ///
    /// # Errors
    /// Where the system has no thread for it, or it panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, String> {
        let turn = Arc::clone(&self.turn).acquire_owned().await.expect("it is never closed");
        let (done, outcome) = oneshot::channel();
        let work = move || {
            // Nobody may be waiting any more.
            let _ = done.send(work());
            drop(turn);
        };
        let thread = thread::Builder::new().name("aside".to_owned()).spawn(work);
        thread.map_err(|error| {
            format!("the system has no thread to find that out: {error}; try again later")
        })?;
        outcome.await.map_err(|_| "finding that out failed, see the log".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn work_is_done_one_piece_at_a_time_whoever_waits_for_it() {
        let aside = Aside::default();
        let (release, released) = mpsc::channel::<()>();
        let first = aside.run(move || released.recv().is_ok());
        // Whoever wanted it goes away.
        assert!(tokio::time::timeout(Duration::from_millis(1), first).await.is_err());
        let mut second = std::pin::pin!(aside.run(|| "second"));
        assert!(tokio::time::timeout(Duration::from_millis(1), second.as_mut()).await.is_err());
        release.send(()).unwrap();
        assert_eq!(second.await, Ok("second"));
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_the_next_piece_is_done() {
        let aside = Aside::default();
        let failed = aside.run(|| panic!("on purpose")).await;
        assert!(failed.is_err_and(|why| why.contains("see the log")));
        assert_eq!(aside.run(|| 1).await, Ok(1));
    }
}
