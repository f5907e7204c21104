"""What ``tnm calibrate`` does, once its arguments are checked; needs torch."""
