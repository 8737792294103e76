//! The log at the other end of a log server does what every log has to do.

use super::Served;

infra::log_conformance!(Served::start);

/// Several processes use one log server, each with a client of its own and one with the file.
mod shared {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use futures::stream::BoxStream;
    use infra::log::{
        AppendError, Appended, Expected, Log, NewRecord, Position, ReadError, Record,
    };

    use super::super::{Served, connect};

    struct InTurn {
        logs: Vec<Arc<dyn Log>>,
        calls: AtomicUsize,
        _served: Served,
    }

    impl InTurn {
        fn next(&self) -> &Arc<dyn Log> {
            &self.logs[self.calls.fetch_add(1, Ordering::Relaxed) % self.logs.len()]
        }
    }

    #[async_trait]
    impl Log for InTurn {
        async fn append(
            &self,
            stream: &str,
            expected: Expected,
            records: Vec<NewRecord>,
        ) -> Result<Appended, AppendError> {
            let appended = self.next().append(stream, expected, records).await?;
            // Which of them answered is not to be seen.
            Ok(Appended { contiguous: false, ..appended })
        }

        async fn read_stream(
            &self,
            stream: &str,
            from: u64,
            limit: usize,
        ) -> Result<Vec<Record>, ReadError> {
            self.next().read_stream(stream, from, limit).await
        }

        async fn read_all(&self, after: Position, limit: usize) -> Result<Vec<Record>, ReadError> {
            self.next().read_all(after, limit).await
        }

        async fn check_writable(&self) -> Result<(), AppendError> {
            self.next().check_writable().await
        }

        async fn head(&self) -> Result<Position, ReadError> {
            self.next().head().await
        }

        fn subscribe_all(
            &self,
            after: Position,
        ) -> BoxStream<'static, Result<Vec<Record>, ReadError>> {
            self.next().subscribe_all(after)
        }
    }

    async fn shared() -> Arc<dyn Log> {
        let served = Served::start().await;
        let logs: Vec<Arc<dyn Log>> = vec![
            Arc::new(connect(served.address)),
            Arc::new(connect(served.address)),
            Arc::clone(served.embedded()) as Arc<dyn Log>,
        ];
        Arc::new(InTurn { logs, calls: AtomicUsize::default(), _served: served })
    }

    infra::log_conformance!(shared);
}
