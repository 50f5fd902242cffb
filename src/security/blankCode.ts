// The `allowCode` profile: code that a text shows, in Markdown's fences and backticks, is not looked at.
// Blanked instead of cut, so that offsets stay true.

/** The text with fenced and inline code blanked (CommonMark 4.5 and 6.1). What never closes is no code. */
export function blankCode(text: string): string {
  if (!text.includes('`') && !text.includes('~~~')) return text
  const lines = text.split('\n')
  const pieces: string[] = []
  /** By the fence's character: the shortest fence known to have no close in the rest of the text. */
  const unclosed: Record<string, number> = {}
  let plainFrom = 0
  for (let at = 0; at < lines.length; at++) {
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(lines[at] as string)?.[1]
    if (mark === undefined || mark.length >= (unclosed[mark[0] as string] ?? Infinity)) continue
    let close = at + 1
    while (close < lines.length && !closes(lines[close] as string, mark)) close++
    if (close === lines.length) {
      unclosed[mark[0] as string] = mark.length
      continue
    }
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

/** A closing fence: nothing but the fence's character, at least as often. */
function closes(line: string, mark: string): boolean {
  const text = line.trim()
  return text.startsWith(mark) && text === (mark[0] as string).repeat(text.length)
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
