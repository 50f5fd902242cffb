// What a session server counts.

/** What happened, counted since the server was made. */
export interface SessionCounts {
  messagesIn: number
  messagesOut: number
  volatileIn: number
  volatileOut: number
  redelivered: number
  acked: number
  dropped: number
  resumes: number
  losses: number
  /** Sessions that were given to another process that had asked for them. */
  movedAway: number
  /** Messages that other processes had posted. */
  posted: number
}
