// Where words for a developer go. What is logged has been redacted by whoever logs it.

/** The part of `console` that the library writes to. */
export interface Logger {
  debug(...parts: unknown[]): void
  info(...parts: unknown[]): void
  warn(...parts: unknown[]): void
  error(...parts: unknown[]): void
}
