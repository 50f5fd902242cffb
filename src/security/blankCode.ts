// The `allowCode` profile: code that a text shows, in Markdown's fences and backticks, is not looked at.
// Blanked instead of cut, so that offsets stay true.

/** A line that can close a fence: nothing but the fence's character, at least three times. */
interface Closer {
  readonly at: number
  readonly run: string
}

/** The text with fenced and inline code blanked (CommonMark 4.5 and 6.1). What never closes is no code. */
export function blankCode(text: string): string {
  if (!text.includes('`') && !text.includes('~~~')) return text
  const lines = text.split('\n')
  // Gathered once: looking through all lines again for every fence would take the square of their number.
  const closers: Closer[] = []
  lines.forEach((line, at) => {
    const run = /^\s*(`{3,}|~{3,})\s*$/.exec(line)?.[1]
    if (run) closers.push({ at, run })
  })
  const pieces: string[] = []
  let plainFrom = 0
  let next = 0 // the first closer that is not behind us
  for (let at = 0; at < lines.length; at++) {
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(lines[at] as string)?.[1]
    if (mark === undefined) continue
    while (next < closers.length && (closers[next] as Closer).at <= at) next++
    let found = next
    while (found < closers.length && !(closers[found] as Closer).run.startsWith(mark)) found++
    const close = closers[found]?.at
    if (close === undefined) continue
    if (at > plainFrom) pieces.push(blankSpans(lines.slice(plainFrom, at).join('\n')))
    pieces.push(blank(lines.slice(at, close + 1).join('\n')))
    plainFrom = close + 1
    at = close
  }
  if (plainFrom < lines.length) pieces.push(blankSpans(lines.slice(plainFrom).join('\n')))
  return pieces.join('\n')
}

function blank(text: string): string {
  return text.replace(/[^\n]/g, ' ')
}

/** Blanks code spans: a run of backticks is closed by the next run of the same length. */
function blankSpans(text: string): string {
  const runs = [...text.matchAll(/`+/g)].map((match) => ({
    start: match.index,
    length: match[0].length,
    close: -1,
  }))
  const nextOfLength = new Map<number, number>()
  for (let at = runs.length - 1; at >= 0; at--) {
    const run = runs[at] as (typeof runs)[number]
    run.close = nextOfLength.get(run.length) ?? -1
    nextOfLength.set(run.length, at)
  }
  let result = ''
  let from = 0
  for (let at = 0; at < runs.length; at++) {
    const { start, length, close } = runs[at] as (typeof runs)[number]
    if (close < 0) continue
    const end = (runs[close] as (typeof runs)[number]).start + length
    result += text.slice(from, start) + blank(text.slice(start, end))
    from = end
    at = close
  }
  return result + text.slice(from)
}
