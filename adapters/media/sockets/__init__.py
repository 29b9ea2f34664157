"""Ways into the kernel: many packets of many sockets at once, through io_uring or plain sockets."""
