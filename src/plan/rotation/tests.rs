//! Plans of rotations over small fleets.
