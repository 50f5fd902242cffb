// Whether a line may carry its bytes in the clear.

import { CommsError } from '../core/errors.ts'
import { redactUrl } from '../core/redact.ts'
import { isLoopback } from './url.ts'

const PLAIN = new Set(['http:', 'ws:'])

/**
 * Refuses plain `http:` and `ws:` to anything but this machine. What is no URL is left to whoever dials it.
 * @throws CommsError `INSECURE_URL`, naming the option
 */
export function assertSecureUrl(owner: string, option: string, url: string): void {
  if (!URL.canParse(url)) return
  const { protocol, hostname } = new URL(url)
  if (!PLAIN.has(protocol) || isLoopback(hostname)) return
  throw new CommsError(
    `${owner}: option "${option}" must be ${protocol === 'ws:' ? 'wss:' : 'https:'} in production, got ${redactUrl(url)}; "allowInsecure: true" permits it`,
    { code: 'INSECURE_URL' },
  )
}
