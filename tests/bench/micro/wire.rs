//! The wire: requests parsed, replies encoded and decoded. As many at a time as a connection brings in one read.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use larder_protocol::encode::{encode_bulk, encode_command};
use larder_protocol::{Decoder, FrameLimits, Parser, Reply, ReplyLimits, Requests, Wire, encode};

const VALUE: &[u8] = &[b'x'; 64];

fn key(number: usize) -> Vec<u8> {
    format!("key:{number:012}").into_bytes()
}

/// So many requests one after the other.
fn requests(count: usize, words: impl Fn(usize) -> Vec<Vec<u8>>) -> BytesMut {
    let mut bytes = BytesMut::new();
    for number in 0..count {
        encode_command(&words(number), &mut bytes);
    }
    bytes
}

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    let get = |number| vec![b"GET".to_vec(), key(number)];
    let set = |number| vec![b"SET".to_vec(), key(number), VALUE.to_vec()];
    let mget = |_| [b"MGET".to_vec()].into_iter().chain((0..100).map(key)).collect();
    let lines: BytesMut = (0..16).flat_map(|number| [&b"GET "[..], &key(number), b"\n"].concat()).collect();
    for (name, count, bytes) in [
        ("1 GET", 1, requests(1, get)),
        ("16 GETs", 16, requests(16, get)),
        ("16 SETs of 64 bytes", 16, requests(16, set)),
        ("MGET of 100 keys", 1, requests(1, mget)),
        ("16 GETs as lines", 16, lines),
    ] {
        group.throughput(Throughput::Elements(count));
        group.bench_function(name, |bencher| {
            let (mut parser, mut found) = (Parser::new(FrameLimits::default()), Requests::default());
            bencher.iter(|| {
                found.clear();
                black_box(parser.parse(black_box(&bytes), &mut found, 64));
                parser.consumed(found.consumed_to());
                assert_eq!(found.len() as u64, count);
            });
        });
    }
    group.finish();
}

fn encoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    let mut out = BytesMut::with_capacity(64 << 10);
    group.throughput(Throughput::Elements(16));
    group.bench_function("16 values of 64 bytes", |bencher| {
        bencher.iter(|| {
            out.clear();
            for _ in 0..16 {
                encode_bulk(black_box(VALUE), Wire::Resp2, &mut out);
            }
            black_box(out.len())
        });
    });
    let array = Reply::Array((0..100).map(|_| Reply::bulk(VALUE.to_vec())).collect());
    group.throughput(Throughput::Elements(100));
    group.bench_function("an array of 100 values", |bencher| {
        bencher.iter(|| {
            out.clear();
            encode(black_box(&array), Wire::Resp3, &mut out);
            black_box(out.len())
        });
    });
    group.finish();
}

fn decode(criterion: &mut Criterion) {
    let mut bytes = BytesMut::new();
    for _ in 0..16 {
        encode_bulk(VALUE, Wire::Resp2, &mut bytes);
    }
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(16));
    group.bench_function("16 values of 64 bytes", |bencher| {
        bencher.iter(|| {
            let (mut decoder, mut input, mut count) =
                (Decoder::new(ReplyLimits::default()), bytes.clone(), 0);
            while let Ok(Some(reply)) = decoder.decode(&mut input) {
                black_box(reply);
                count += 1;
            }
            assert_eq!(count, 16);
        });
    });
    group.finish();
}

criterion_group!(wire, parse, encoding, decode);
criterion_main!(wire);
