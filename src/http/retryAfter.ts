// What a response says about trying again: when, and whether at all.

type Headers = Readonly<Record<string, string>>

/**
 * Milliseconds the server asked to wait, or `undefined` when it did not say (or not in a form that exists).
 * `retry-after-ms` (OpenAI, Azure) wins over `Retry-After`, being finer.
 * @param wallNow milliseconds since the epoch, for dates
 */
export function retryAfterMs(headers: Headers, wallNow: number): number | undefined {
  const fine = headers['retry-after-ms']
  if (fine !== undefined && /^\d+(?:\.\d+)?$/.test(fine)) return Math.ceil(Number(fine))
  const value = headers['retry-after']?.trim()
  if (!value) return undefined
  // Proxies add one of their own: the field is then a list, and the longest wait is early for nobody. A comma behind a weekday is
  // part of its date.
  const waits = (value.match(/(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*, )?[^,]+/g) ?? [])
    .map((one) => waitOf(one.trim(), headers, wallNow))
    .filter((wait) => wait !== undefined)
  return waits.length > 0 ? Math.max(...waits) : undefined
}

function waitOf(value: string, headers: Headers, wallNow: number): number | undefined {
  // RFC 9110 10.2.3 has whole seconds; some servers send fractions.
  if (/^\d+(?:\.\d+)?$/.test(value)) return Math.ceil(Number(value) * 1000)
  const at = parseHttpDate(value, wallNow)
  if (at === undefined) return undefined
  // Against the server's own clock where it shows it: ours may be ahead, and a retry must never be early.
  const serverNow = headers.date === undefined ? undefined : parseHttpDate(headers.date, wallNow)
  return Math.max(0, at - (serverNow ?? wallNow))
}

/** The server's word on whether to retry at all (`x-should-retry`, OpenAI and Anthropic), if it gave one. */
export function shouldRetry(headers: Headers): boolean | undefined {
  const value = headers['x-should-retry']
  return value === 'true' ? true : value === 'false' ? false : undefined
}

const TIME = '(\\d\\d:\\d\\d:\\d\\d)'
/** `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT` or `Sun Nov  6 08:49:37 1994`. */
const DATE = new RegExp(
  `^(?:\\w+, (\\d\\d)[ -](\\w{3})[ -](\\d\\d(?:\\d\\d)?) ${TIME} (?:GMT|UTC)|\\w{3} (\\w{3}) ([ \\d]\\d) ${TIME} (\\d{4}))$`,
)

/** RFC 3339, which some servers write instead. Without a zone it is anybody's guess what is meant. */
const ISO_DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/

/**
 * Milliseconds since the epoch of an HTTP-date in any of its three forms (RFC 9110 5.6.7) or of an ISO date, else `undefined`.
 * @param wallNow settles the century of a two-digit year: one that seems more than 50 years ahead is past
 */
export function parseHttpDate(text: string, wallNow: number): number | undefined {
  if (ISO_DATE.test(text)) {
    const at = Date.parse(text)
    return Number.isNaN(at) ? undefined : at
  }
  const found = DATE.exec(text)
  if (!found) return undefined
  const [, day = found[6], month = found[5], year = found[8] as string, time = found[7] as string] = found
  let fullYear = Number(year)
  if (year.length === 2) {
    const thisYear = new Date(wallNow).getUTCFullYear()
    fullYear += thisYear - (thisYear % 100)
    if (fullYear > thisYear + 50) fullYear -= 100
  }
  // The parser of dates knows no leap second.
  const at = Date.parse(`${day} ${month} ${fullYear} ${time.replace(/60$/, '59')} GMT`)
  return Number.isNaN(at) ? undefined : at
}
