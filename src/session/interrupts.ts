// Streams of volatile messages that were interrupted: what is still on its way of them is ignored until the other side has
// answered every interruption.

/** Plain data: streams whose messages are ignored until so many answers have come. */
export type Interrupts = { stream: number; awaited: number }[]

export function interruptBegan(interrupts: Interrupts, stream: number): void {
  const known = interrupts.find((one) => one.stream === stream)
  if (known) known.awaited += 1
  else interrupts.push({ stream, awaited: 1 })
}

/** The other side has answered one. */
export function interruptAnswered(interrupts: Interrupts, stream: number): void {
  const index = interrupts.findIndex((one) => one.stream === stream)
  const known = interrupts[index]
  if (!known) return
  known.awaited -= 1
  if (known.awaited === 0) interrupts.splice(index, 1)
}

export function isInterrupted(interrupts: Interrupts, stream: number): boolean {
  return interrupts.length > 0 && interrupts.some((one) => one.stream === stream)
}
