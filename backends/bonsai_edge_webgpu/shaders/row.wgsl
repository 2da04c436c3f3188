// A row of the batch. Joined in front of the kernels that look at tokens and places.

struct Row {
  token_id: u32,
  position: u32,
  sequence: u32,
  slot: u32,
}
