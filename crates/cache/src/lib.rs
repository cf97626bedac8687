//! Cache-aside with single flight and version guard over a small Cache trait
