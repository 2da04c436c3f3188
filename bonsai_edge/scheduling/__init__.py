"""Who is computed next: pure decisions, without threads, sockets or clocks of their own."""
