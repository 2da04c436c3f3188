// Rows of x as they are.

fn number_at(index: u32) -> f32 {
  return x[index];
}
