//! What each described request would look like on the wire, for people: nothing is sent.
