//! Patterns matched against keys, as DELPAT, KEYS and SCAN do with every key they pass.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use larderd::glob::Pattern;

fn matches(criterion: &mut Criterion) {
    let keys: Vec<Vec<u8>> =
        (0..1_000).map(|number| format!("user:{number}:profile:{}", number * 7).into_bytes()).collect();
    let mut group = criterion.benchmark_group("match 1,000 keys");
    group.throughput(Throughput::Elements(keys.len() as u64));
    for (name, pattern) in [
        ("prefix user:1*", Pattern::glob(b"user:1*")),
        ("suffix *7", Pattern::glob(b"*7")),
        ("class user:[0-4]*:profile:*[13579]", Pattern::glob(b"user:[0-4]*:profile:*[13579]")),
        ("many stars *1*2*3*", Pattern::glob(b"*1*2*3*")),
        ("LIKE user:_2%:profile:%", Pattern::like(b"user:_2%:profile:%")),
        ("nothing *x*x*x*x*x", Pattern::glob(b"*x*x*x*x*x")),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| keys.iter().filter(|key| black_box(&pattern).matches(key)).count());
        });
    }
    group.finish();
    criterion.bench_function("compile a glob", |bencher| {
        bencher.iter(|| Pattern::glob(black_box(b"user:[0-4]*:profile:*[13579]")));
    });
}

criterion_group!(keys, matches);
criterion_main!(keys);
