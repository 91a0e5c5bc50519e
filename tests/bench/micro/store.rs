//! What is on disk: commits of the journal, rows read, and merges. In a directory below the target directory's file system,
//! or where `TMPDIR` says; nothing is forced to disk but by the store's own rules.

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use larderd::bench::{Batch, Journal, Store};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn keys(range: std::ops::Range<usize>) -> Vec<Vec<u8>> {
    let count = range.len();
    range
        .clone()
        .map(|number| format!("key:{:012}", range.start + number * 611_953 % count).into_bytes())
        .collect()
}

fn slices(keys: &[Vec<u8>]) -> impl Iterator<Item = &[u8]> {
    keys.iter().map(Vec::as_slice)
}

fn value() -> Bytes {
    Bytes::from(vec![b'x'; 64])
}

fn journal(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut journal = Journal::create(dir.path());
    let (mut batch, value) = (Batch::default(), value());
    let mut group = criterion.benchmark_group("journal");
    for writes in [1, 8, 128, 800] {
        let keys = keys(0..writes);
        group.throughput(Throughput::Elements(writes as u64));
        group.bench_function(format!("encode and commit {writes}"), |bencher| {
            bencher.iter(|| journal.commit(batch.encode(slices(&keys), &value)));
        });
    }
    group.finish();
}

fn main_file(criterion: &mut Criterion) {
    const ROWS: usize = 100_000;
    let (dir, value) = (tempfile::tempdir().expect("a temporary directory"), value());
    let mut store = Store::open(dir.path(), 2);
    let all = keys(0..ROWS);
    store.merge(store.written(slices(&all), &value));

    let reader = store.reader();
    let mut group = criterion.benchmark_group("rows of 100,000");
    for count in [1, 16] {
        let mut some = all.chunks_exact(count).cycle();
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("read {count}"), |bencher| {
            bencher.iter(|| some.next().map(|keys| reader.read(&slices(keys).collect::<Vec<_>>())));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("merge into 100,000 rows");
    group.sample_size(10);
    for (name, every) in [("all again", 1), ("every tenth again", 10)] {
        let some: Vec<Vec<u8>> = all.iter().step_by(every).cloned().collect();
        group.throughput(Throughput::Elements(some.len() as u64));
        group.bench_function(name, |bencher| {
            // One at a time: each is the generation after the one before.
            bencher.iter_custom(|times| {
                (0..times)
                    .map(|_| {
                        let written = store.written(slices(&some), &value);
                        let began = std::time::Instant::now();
                        store.merge(written);
                        began.elapsed()
                    })
                    .sum()
            });
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("merge into an empty file");
    group.sample_size(10);
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("100,000 new rows", |bencher| {
        let prepare = || {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let store = Store::open(dir.path(), 1);
            let written = store.written(slices(&all), &value);
            (dir, store, written)
        };
        bencher.iter_batched(
            prepare,
            |(dir, mut store, written)| {
                store.merge(written);
                (dir, store)
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
    store.stop();
}

criterion_group!(store, journal, main_file);
criterion_main!(store);
