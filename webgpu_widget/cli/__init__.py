"""What is run by hand: the doctor, the demo, the benches, and the cell magic."""
