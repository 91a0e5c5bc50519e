//! The scripts that larder knows: by the SHA-1 of their canonical form, and those of well-known libraries by that of their
//! text, so that EVALSHA finds them before anybody has sent it. To add one: what it does in `natives.rs`, a row here.
//!
//! The SHA-1s were taken from the packages as published in November 2026.

use super::natives::{self as native, Native};

/// What a script does.
#[derive(Clone, Copy)]
pub(super) enum Does {
    /// Something in one step.
    Step(Native),
    /// Deletes the keys that match its only key, a pattern: over several turns.
    DeleteMatching,
}

/// What the script with this canonical form does.
pub(super) fn by_form(sha1: &str) -> Option<Does> {
    if sha1 == DELETE_MATCHING_FORM {
        return Some(Does::DeleteMatching);
    }
    FORMS.iter().find(|(known, _)| *known == sha1).map(|(_, native)| Does::Step(*native))
}

/// What the script with this text does.
pub(super) fn by_sha1(sha1: &str) -> Option<Does> {
    if sha1 == DELETE_MATCHING {
        return Some(Does::DeleteMatching);
    }
    SCRIPTS.iter().find(|(known, ..)| *known == sha1).map(|(_, native, _)| Does::Step(*native))
}

/// The form and the text of [`Does::DeleteMatching`], which limits sends to reset its storage.
const DELETE_MATCHING_FORM: &str = "74b724a5534a608cf74beb4051bc33c970606a12";
const DELETE_MATCHING: &str = "f2994557f1daca13bfef97c2a31ca4b174e031ca";

/// SHA-1 of the canonical form, and what it does.
const FORMS: &[(&str, Native)] = &[
    // redis-py
    ("6013ae0c95eeba7b3e33a88fc8d25a77f4b550fe", native::delete_if_equal),
    // redis-py
    ("d8a398966e7abc78a880ed5663c322deb19842b9", native::extend_if_equal),
    // redis-py
    ("c71cad0a6ec0d7d5ebef9ee0a7da090bd349b10e", native::expire_if_equal),
    // django-redis
    ("e7b7aef62fe076bc53593127fd29a35e163c0292", native::increment_if_present),
    // django-redis
    ("79d5e0e8b55197c9609e386648162577d72f98c4", native::increment),
    // aiocache, cashews, pottery, redlock-py, Laravel, redsync, symfony/lock
    ("8f4d42e76cbb4fad0f45e575441b8a269ebc173c", native::delete_if_equal),
    // aiocache
    ("938b63cb030297b1292c166ca89c8738608cccb5", native::set_if_equal),
    // cashews
    ("6fa099ac9908a9768acbf5aa4f68313391899507", native::count_in_window_ms),
    // limits
    ("c6cfbd6f8c4fae69f8a3c3b7e930fc6a37a5597f", native::count_in_window_s),
    // limits
    ("ff7a9f9f9abb8619047b147b62b3a330aa4c4e40", native::hit_sliding_window),
    // limits
    ("0ce5b4cfc8def91844915c96764d0f8179a2f248", native::look_at_sliding_window),
    // rate-limiter-flexible
    ("27422303ea9acdf1fec02eb3eb7f64c4fc9d91ca", native::count_with_ttl),
    // rate-limit-redis
    ("596bf43a4b3d84231390b0e89706b3a3852b9c5c", native::hit_in_window),
    // rate-limit-redis
    ("5bda0995b303189297ad9ee7193ddad4d82a5aca", native::value_and_left),
    // node-redlock
    ("ac8ebd377ea580fc4c09132a44e6ef8232ecc74a", native::lock_all::<0>),
    // node-redlock
    ("d170c1b6d0d1e4e4392607d9d8789dc336c35116", native::unlock_all::<0>),
    // node-redlock
    ("c7f6c5c6ca5364fbc13470f6ed147a8f6b7473a7", native::extend_all::<0>),
    // @sesamecare-oss/redlock
    ("bb06b2371e18a6641e56cbdc7f1fd6de654f2c80", native::lock_all::<1>),
    // @sesamecare-oss/redlock
    ("5e834aed4857f2df6343e70d210212382c79e839", native::unlock_all::<1>),
    // @sesamecare-oss/redlock
    ("48341c23a8afb6cddeb96e001392d57439c7f81a", native::extend_all::<1>),
    // redis-semaphore
    ("56e4282c3202835c05e2b35d4747f5523b9a714f", native::delete_if_equal),
    // redis-semaphore
    ("7a6a2bf12330403376993d50a515c720f03db334", native::expire_if_equal),
    // pottery
    ("47e9952539210b4704dc56b7bd8593763cc127c7", native::left_if_equal),
    // pottery, redsync, symfony/lock
    ("dc8ad6110baa7f60ed379b4db40a165d3c7e1ae1", native::expire_if_equal),
    // pottery
    ("76a8c5b6fec946dd3a374b42261376db87b21aed", native::raise),
    // Laravel
    ("01b05c6bf89c7d7be88a5abac8291672d3648b37", native::add),
    // Laravel
    ("f619cc7fd7260da97c40f6be7792523ea6483901", native::expire_or_persist_if_equal),
    // Laravel
    ("54594414c6e6deba735a24228da9ef1b19def8e8", native::take_place),
    // Laravel
    ("c31d2ec9235579a2efafdd43f331b6173e36692d", native::count_present),
];

/// SHA-1 of the text, what it does, and who sends it.
const SCRIPTS: &[(&str, Native, &str)] = &[
    (
        "c3f8721cbb97f72bc19e972846bd7aaf91901658",
        native::delete_if_equal,
        "redis-py (and dogpile.cache, django-redis): Lock.release",
    ),
    (
        "a4e8783852e6b949f9ef3a97212805108459a890",
        native::extend_if_equal,
        "redis-py (and dogpile.cache, django-redis): Lock.extend",
    ),
    (
        "1cac51482acf5858da00f6d685d68f886cd6b6b2",
        native::expire_if_equal,
        "redis-py (and dogpile.cache, django-redis): Lock.reacquire",
    ),
    ("f4a7da3e5d8ea3b46642af08427151cae0190400", native::increment_if_present, "django-redis: incr/decr"),
    (
        "4d15273b16b10c15e1d9202cbe93c959ab7d250b",
        native::increment,
        "django-redis: incr(ignore_key_check=True)",
    ),
    ("ae3671744a5dbb24ea37ef607b8b10ac7856d43e", native::delete_if_equal, "aiocache: RedLock release"),
    ("782e993d12091daacc7a3164ddf5c4624fe56042", native::set_if_equal, "aiocache: set(..., _cas_token)"),
    ("b948f76fda6b97319d3426a2fb42b0d4f02c7146", native::delete_if_equal, "cashews: unlock"),
    (
        "0f8a745c1b5efe281bd1299ea0d1b2994c6ae601",
        native::count_in_window_ms,
        "cashews: incr(expire=...), rate_limit",
    ),
    ("628bd136a573a06b346879695681af12ccef300f", native::count_in_window_s, "limits: incr"),
    (
        "e8ac2a60cb040b0dbb56815a1e9c6fd032ce62e7",
        native::hit_sliding_window,
        "limits: SlidingWindowCounterRateLimiter.hit",
    ),
    (
        "e7a0a27d4101baabb124af209bb0245197a359a1",
        native::look_at_sliding_window,
        "limits: SlidingWindowCounterRateLimiter.test/get_window_stats",
    ),
    (
        "a1de965f42e177aa339706bd580f049065eca79a",
        native::count_with_ttl,
        "rate-limiter-flexible: RateLimiterRedis.consume/penalty/reward",
    ),
    ("895b92e1712734e1b464999be23953485475357b", native::hit_in_window, "rate-limit-redis: increment"),
    ("6aeb97ed6086dcdeafdc6fda3999a0d0e38ec96a", native::value_and_left, "rate-limit-redis: get"),
    ("e5a322e2634ef59a516e8ea150cb085afafee684", native::lock_all::<0>, "node-redlock: acquire"),
    ("0f0f23b9048b36752b5be114f357ba083449f908", native::unlock_all::<0>, "node-redlock: release"),
    ("ce46f80993d5dac20dd066eb301a4e37994bdbed", native::extend_all::<0>, "node-redlock: extend"),
    ("96da70f7716f27d278a5218544df37fd8b0a5e4c", native::lock_all::<0>, "node-redlock: acquire"),
    ("e4612211c9f8f51c257e26e056b0a654b3187242", native::unlock_all::<0>, "node-redlock: release"),
    ("aed6f382e410db8ba7926d4e5e9aab410bf2a78a", native::extend_all::<0>, "node-redlock: extend"),
    (
        "1b77b94aa78451d55dfa97e18819bfbfc596cb5b",
        native::lock_all::<1>,
        "@sesamecare-oss/redlock: acquireLock",
    ),
    (
        "df51f6837dcfe303d334e6abea9aeae192bab216",
        native::unlock_all::<1>,
        "@sesamecare-oss/redlock: releaseLock",
    ),
    (
        "820e9778d2b6733e9ed771e4be90ae73a95a6f3b",
        native::extend_all::<1>,
        "@sesamecare-oss/redlock: extendLock",
    ),
    ("7157921a7cc7cfba979acf6d63f073151df17d12", native::delete_if_equal, "redis-semaphore: Mutex.release"),
    ("594683e49a64ebaf975caf5f8079a1d097c438f1", native::expire_if_equal, "redis-semaphore: Mutex.refresh"),
    ("f5f7bd3a3aa4a63c507c1155c5ea1219b350d992", native::left_if_equal, "pottery: Redlock.locked/acquired"),
    ("ba015a80261b616e7a62d35df0b8e3edbe6c9414", native::expire_if_equal, "pottery: Redlock.extend"),
    ("a4aada0b36710970eedaaaeec4a6b7d8c78c4f80", native::delete_if_equal, "pottery: Redlock.release"),
    ("556429c2d8baca516a475ebb22d380cbccae7313", native::raise, "pottery: NextID"),
    ("4e92fdc63815b3a0a2dd1c1df3694de73607c88d", native::delete_if_equal, "redlock-py: unlock"),
    ("647c65a442733a1aa440f99908d249d13b4d6c4a", native::delete_if_equal, "Laravel: RedisLock.release"),
    ("a08c9c69b7c07ae2485190873b90d128a23e502d", native::add, "Laravel: RedisStore.add"),
    (
        "d5f94f1848f0c54fff99d99dbc4d54184a157c02",
        native::expire_or_persist_if_equal,
        "Laravel: RedisLock.refresh",
    ),
    ("420ca604de4310d8301943a71390ee669720d640", native::take_place, "Laravel: ConcurrencyLimiter.acquire"),
    (
        "a50243715157b186c5162c69e02eff3bf0c7994a",
        native::delete_if_equal,
        "Laravel: ConcurrencyLimiter.release",
    ),
    (
        "817a53172668fd358fc83b7f104147cccda1c466",
        native::count_present,
        "Laravel: ConcurrencyLimiter.currentLocks",
    ),
    ("00583931c4e4d483f6233879c133c71ed5393f9d", native::delete_if_equal, "redsync: Mutex.Unlock"),
    ("d75bb8b5bd13532ddedd17762e772346e39b321e", native::expire_if_equal, "redsync: Mutex.Extend"),
    ("ae948f48c8da9feb2e215c474a412c605d33ff30", native::expire_if_equal, "symfony/lock: putOffExpiration"),
    ("bec85b1c518b7ba0348a49c79b24adbb1ca95d3b", native::delete_if_equal, "symfony/lock: delete"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_row_is_a_sha1_of_its_own() {
        let all: Vec<&str> =
            FORMS.iter().map(|(sha1, _)| *sha1).chain(SCRIPTS.iter().map(|(sha1, ..)| *sha1)).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        for sha1 in all {
            assert!(sha1.len() == 40 && sha1.bytes().all(|byte| byte.is_ascii_hexdigit()), "{sha1}");
        }
        assert!(SCRIPTS.iter().all(|(.., library)| library.contains(": ")));
    }
}
