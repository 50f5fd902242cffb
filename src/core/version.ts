// What this package calls itself on the wire. A test holds it against package.json.

/** Major and minor alone: a header that changes with every patch would split the caches and statistics of servers. */
export const USER_AGENT = 'guru-comms/0.1'
