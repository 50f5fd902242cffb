// Where in a log something stands, as readers see it: an opaque token that sorts as the positions
// do. Positions count bytes, or messages where the content is JSON. Source: Durable Streams 1.0,
// section 8.

/** Positions have 16 digits, so that the order of texts is the order of numbers. */
const DIGITS = 16
/** The first part is kept for a later layout; it sorts before every other. */
const LAYOUT = '0'.repeat(DIGITS)
const TOKEN = /^(\d{16})_(\d{16})$/

/** What a reader asks for: a position, the tail of now, or something that is no offset. */
export type AskedOffset = number | 'now' | undefined

/** The token of a position. */
export function formatOffset(position: number): string {
  return `${LAYOUT}_${String(position).padStart(DIGITS, '0')}`
}

/**
 * Reads what a reader sent: a token, `-1` for the beginning, `now` for the tail.
 * @returns `undefined` for anything else
 */
export function parseOffset(token: string): AskedOffset {
  if (token === '-1') return 0
  if (token === 'now') return 'now'
  const [, layout, digits] = TOKEN.exec(token) ?? []
  if (layout !== LAYOUT) return undefined
  const position = Number(digits)
  return Number.isSafeInteger(position) ? position : undefined
}
