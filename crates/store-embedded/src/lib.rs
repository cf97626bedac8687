//! The Store on fjall: one writer thread, group commit, CAS checked inline
