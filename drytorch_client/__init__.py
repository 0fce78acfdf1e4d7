"""What a training loop imports: experiments, runs and the emitting side."""
