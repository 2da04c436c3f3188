// silu(gate) * up. A row of x is gate, then up, WIDTH each.

fn number_at(index: u32) -> f32 {
  let at = index + index / WIDTH * WIDTH;
  let gate = x[at];
  return gate / (1.0 + exp(-gate)) * x[at + WIDTH];
}
