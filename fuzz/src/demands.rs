//! What producers and operators ask for.

use holdfast::payment::{Command, Payment, Request, Timestamp};

use crate::is_fit_to_show;

/// A request. One that is accepted makes a payment that is kept and read again as it was, and says
/// the same as itself when it is asked again.
pub fn request(json: &[u8]) {
    let request = match Request::from_json(json) {
        Ok(request) => request,
        Err(error) => return is_fit_to_show(&error.to_string()),
    };
    let again = Request::from_json(json).expect("the same bytes are the same request");
    let fingerprint = request.fingerprint().expect("an accepted request");
    assert_eq!(fingerprint, again.fingerprint().expect("as before"));
    let payment = Payment::new(request, Timestamp::UNIX_EPOCH).expect("an accepted request");
    assert_eq!(payment.id(), &again.payment_id());
    let kept = serde_json::to_vec(&payment).expect("a payment is kept as JSON");
    let back: Payment = serde_json::from_slice(&kept).expect("what is kept can be read");
    assert_eq!(back, payment);
}

/// A command. One that is accepted is kept in the record.
pub fn command(json: &[u8]) {
    match Command::from_json(json) {
        Ok(command) => {
            let kept = serde_json::to_vec(&command).expect("a command is kept as JSON");
            let back: Command = serde_json::from_slice(&kept).expect("what is kept can be read");
            assert_eq!(back, command);
        }
        Err(error) => is_fit_to_show(&error.to_string()),
    }
}
