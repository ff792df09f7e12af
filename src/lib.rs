//! Holdfast: deferred capture and saved-card charges on the CHIP Collect gateway.
