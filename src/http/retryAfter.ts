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

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const TIME = '(\\d\\d):(\\d\\d):(\\d\\d)'
/** Sun, 06 Nov 1994 08:49:37 GMT */
const IMF = new RegExp(`^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\\d\\d) (\\w{3}) (\\d{4}) ${TIME} GMT$`)
/** Sunday, 06-Nov-94 08:49:37 GMT */
const RFC850 = new RegExp(
  `^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (\\d\\d)-(\\w{3})-(\\d\\d) ${TIME} GMT$`,
)
/** Sun Nov  6 08:49:37 1994 */
const ASCTIME = new RegExp(`^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (\\w{3}) ([ \\d]\\d) ${TIME} (\\d{4})$`)

/**
 * Milliseconds since the epoch of an HTTP-date in any of its three forms (RFC 9110 5.6.7), else `undefined`.
 * @param wallNow settles the century of a two-digit year: one that seems more than 50 years ahead is past
 */
export function parseHttpDate(text: string, wallNow: number): number | undefined {
  const imf = IMF.exec(text)
  if (imf) return utc(imf[3], imf[2], imf[1], imf[4], imf[5], imf[6])
  const asctime = ASCTIME.exec(text)
  if (asctime) return utc(asctime[6], asctime[1], asctime[2], asctime[3], asctime[4], asctime[5])
  const old = RFC850.exec(text)
  if (!old) return undefined
  const thisYear = new Date(wallNow).getUTCFullYear()
  const year = thisYear - (thisYear % 100) + Number(old[3])
  return utc(String(year > thisYear + 50 ? year - 100 : year), old[2], old[1], old[4], old[5], old[6])
}

function utc(...[year, month, day, hour, minute, second]: (string | undefined)[]): number | undefined {
  const monthIndex = MONTHS.indexOf(month as string)
  const [d, h, m, s] = [Number(day), Number(hour), Number(minute), Number(second)]
  // A second of 60 is a leap second.
  if (monthIndex < 0 || d < 1 || d > 31 || h > 23 || m > 59 || s > 60) return undefined
  return Date.UTC(Number(year), monthIndex, d, h, m, s)
}
