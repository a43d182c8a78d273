//! The table from our outcomes to MQTT reason codes.

use hedgerow_base::Fault;
use hedgerow_mqtt::ReasonCode;

pub(crate) const fn connack(fault: Fault) -> ReasonCode {
    match fault {
        Fault::Denied | Fault::Absent => ReasonCode::NOT_AUTHORIZED,
        Fault::Conflict => ReasonCode::IMPLEMENTATION_SPECIFIC,
        Fault::Invalid => ReasonCode::CLIENT_IDENTIFIER_NOT_VALID,
        Fault::TooMuch => ReasonCode::QUOTA_EXCEEDED,
        Fault::Unavailable => ReasonCode::SERVER_UNAVAILABLE,
        Fault::Broken => ReasonCode::UNSPECIFIED,
    }
}

pub(crate) const fn puback(fault: Fault) -> ReasonCode {
    match fault {
        Fault::Denied => ReasonCode::NOT_AUTHORIZED,
        Fault::Absent => ReasonCode::TOPIC_NAME_INVALID,
        Fault::Conflict => ReasonCode::IMPLEMENTATION_SPECIFIC,
        Fault::Invalid => ReasonCode::PAYLOAD_FORMAT_INVALID,
        Fault::TooMuch => ReasonCode::QUOTA_EXCEEDED,
        Fault::Unavailable | Fault::Broken => ReasonCode::UNSPECIFIED,
    }
}

pub(crate) const fn suback(fault: Fault) -> ReasonCode {
    match fault {
        Fault::Denied => ReasonCode::NOT_AUTHORIZED,
        Fault::Absent | Fault::Invalid => ReasonCode::TOPIC_FILTER_INVALID,
        Fault::Conflict => ReasonCode::IMPLEMENTATION_SPECIFIC,
        Fault::TooMuch => ReasonCode::QUOTA_EXCEEDED,
        Fault::Unavailable | Fault::Broken => ReasonCode::UNSPECIFIED,
    }
}

pub(crate) const fn disconnect(fault: Fault) -> ReasonCode {
    match fault {
        Fault::Denied | Fault::Absent => ReasonCode::NOT_AUTHORIZED,
        Fault::Conflict => ReasonCode::ADMINISTRATIVE_ACTION,
        Fault::Invalid => ReasonCode::PROTOCOL_ERROR,
        Fault::TooMuch => ReasonCode::QUOTA_EXCEEDED,
        Fault::Unavailable => ReasonCode::SERVER_BUSY,
        Fault::Broken => ReasonCode::UNSPECIFIED,
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_mqtt::PacketKind;

    use super::*;

    #[test]
    fn every_outcome_has_a_code_that_its_packet_can_carry() {
        for fault in [
            Fault::Denied,
            Fault::Absent,
            Fault::Conflict,
            Fault::Invalid,
            Fault::TooMuch,
            Fault::Unavailable,
            Fault::Broken,
        ] {
            assert!(connack(fault).fits(PacketKind::ConnAck) && connack(fault).is_failure());
            let code = puback(fault);
            assert!(code.fits(PacketKind::PubAck) && code.fits(PacketKind::PubRec));
            assert!(code.is_failure());
            assert!(suback(fault).fits(PacketKind::SubAck) && suback(fault).is_failure());
            let code = disconnect(fault);
            assert!(code.fits(PacketKind::Disconnect) && code.is_failure());
        }
    }
}
