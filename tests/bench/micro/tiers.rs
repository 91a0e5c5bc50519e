//! What a command meets in memory: the write buffer, the front, moka. With few keys, which the processor's cache holds, and
//! with many, which it does not: most of a look-up is waiting for memory then.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use larderd::bench::{Buffer, Tier};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PIPELINE: usize = 16;

/// Keys in an order of none.
fn keys(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| format!("key:{:012}", number * 611_953 % count).into_bytes()).collect()
}

fn value() -> Bytes {
    Bytes::from(vec![b'x'; 64])
}

/// Hands out so many keys at a time, for ever.
fn pipelines(keys: &[Vec<u8>]) -> impl Iterator<Item = Vec<&[u8]>> {
    keys.chunks_exact(PIPELINE)
        .map(|some| some.iter().map(Vec::as_slice).collect())
        .collect::<Vec<_>>()
        .into_iter()
        .cycle()
}

fn buffer(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("write buffer");
    group.throughput(Throughput::Elements(PIPELINE as u64));
    for count in [10_000, 1_000_000] {
        let (keys, value) = (keys(count), value());
        let mut held = Buffer::new(count);
        for key in &keys {
            held.write(key, &value);
        }
        let mut some = pipelines(&keys);
        group.bench_function(format!("read 16 of {count}, one by one"), |bencher| {
            bencher
                .iter(|| some.next().map(|keys| keys.iter().filter_map(|key| held.read(key)).sum::<usize>()));
        });
        group.bench_function(format!("read 16 of {count}, together"), |bencher| {
            bencher.iter(|| some.next().map(|keys| held.read_together(&keys)));
        });
        group.bench_function(format!("overwrite 16 of {count}"), |bencher| {
            bencher.iter(|| some.next().map(|keys| keys.iter().for_each(|key| held.write(key, &value))));
        });
    }
    group.finish();
    let (keys, value) = (keys(10_000), value());
    let mut group = criterion.benchmark_group("write buffer, new keys");
    group.throughput(Throughput::Elements(10_000));
    group.bench_function("write 10,000", |bencher| {
        let fill = |mut empty: Buffer| {
            for key in &keys {
                empty.write(key, &value);
            }
            empty
        };
        bencher.iter_batched(|| Buffer::new(10_000), fill, BatchSize::LargeInput);
    });
    group.finish();
}

fn memory(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("memory tier");
    group.throughput(Throughput::Elements(PIPELINE as u64));
    for count in [10_000, 100_000] {
        let (keys, value) = (keys(count), value());
        let mut tier = Tier::new(1 << 30);
        for key in &keys {
            tier.fill(key, &value);
            tier.fill_front(key, &value);
        }
        let mut some = pipelines(&keys);
        group.bench_function(format!("front, 16 of {count}, one by one"), |bencher| {
            bencher.iter(|| {
                some.next().map(|keys| keys.iter().filter_map(|key| tier.ask_front(key)).sum::<usize>())
            });
        });
        group.bench_function(format!("front, 16 of {count}, together"), |bencher| {
            bencher.iter(|| some.next().map(|keys| tier.ask_front_together(&keys)));
        });
        group.bench_function(format!("moka, 16 of {count}"), |bencher| {
            bencher.iter(|| {
                some.next().map(|keys| keys.iter().filter_map(|key| tier.ask_memory(key)).sum::<usize>())
            });
        });
        group.bench_function(format!("moka, 16 misses among {count}"), |bencher| {
            bencher
                .iter(|| (0..PIPELINE).filter(|_| tier.ask_memory(black_box(b"nothing")).is_none()).count());
        });
        group.bench_function(format!("fill the front with 16 of {count}"), |bencher| {
            bencher.iter(|| some.next().map(|keys| keys.iter().for_each(|key| tier.fill_front(key, &value))));
        });
    }
    group.finish();
}

criterion_group!(tiers, buffer, memory);
criterion_main!(tiers);
