// What follows the end of a connection: a value, decided once when the line ends.

/** Why a client is not going to reconnect. */
export type StopReason = 'closed' | 'notAuthenticated' | 'takenOver' | 'protocol'

export type CloseDecision =
  /** Backoff as usual, and not before `notBefore`. */
  | { readonly action: 'backoff'; readonly notBefore: number }
  /** At once, or at `notBefore`; no failed attempt. */
  | { readonly action: 'now'; readonly notBefore: number }
  /** The longest backoff. */
  | { readonly action: 'longest' }
  | { readonly action: 'stop'; readonly reason: StopReason }
