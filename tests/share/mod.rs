//! One piece of a whole sweep, as `tests/run --full --shard K/N` asks for it: every N-th case from the K-th on.

/// Which piece of how many is run, where it is not all.
pub fn piece() -> Option<(usize, usize)> {
    let text = std::env::var("WHSEC_TEST_SHARD").ok()?;
    let (piece, pieces) = text.split_once('/').expect("WHSEC_TEST_SHARD is K/N");
    Some((piece.parse().unwrap(), pieces.parse().unwrap()))
}

/// How many pieces there are.
pub fn pieces() -> usize {
    piece().map_or(1, |(_, pieces)| pieces)
}

/// The cases of this piece, in their order.
pub fn of_this_piece<T>(all: Vec<T>) -> Vec<T> {
    match piece() {
        Some((piece, pieces)) => share(all, piece, pieces),
        None => all,
    }
}

/// What a table says beside a figure: of what it is.
pub fn label() -> String {
    piece().map_or_else(String::new, |(piece, pieces)| format!(" (piece {piece} of {pieces})"))
}

fn share<T>(all: Vec<T>, piece: usize, pieces: usize) -> Vec<T> {
    assert!((1..=pieces).contains(&piece), "there is no piece {piece} of {pieces}");
    all.into_iter().skip(piece - 1).step_by(pieces).collect()
}

#[test]
fn every_case_is_in_one_piece() {
    for pieces in 1..9 {
        let mut found: Vec<u32> = (1..=pieces).flat_map(|piece| share((0..100).collect(), piece, pieces)).collect();
        found.sort_unstable();
        assert!(found.into_iter().eq(0..100), "{pieces} pieces");
    }
}
