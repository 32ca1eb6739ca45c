demo() { :; }
