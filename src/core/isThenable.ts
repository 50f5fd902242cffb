// Whether a value is to be awaited.

/** Also one that cannot be asked, because its `then` throws: awaiting it tells why. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  try {
    return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
  } catch {
    return true
  }
}
