// Why connections end: the codes of guru.v1, and those of RFC 6455 (section 7.4.1) that concern it.

export const CLOSE = {
  normal: 1000,
  goingAway: 1001,
  tooBig: 1009,
  protocol: 4400,
  notAuthenticated: 4401,
  tooLate: 4408,
  superseded: 4409,
  gone: 4410,
  tooLarge: 4413,
  tooMany: 4429,
  /** Never on the wire: the connection is dropped without a word, because nobody is there to hear it. */
  silent: 1006,
} as const
