"""What is sent and heard, octet by octet: RTP, RTCP, SRTP and telephone events. Pure."""
