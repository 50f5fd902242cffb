// URLs: parsed as browsers parse them (WHATWG), then judged by protocol and, when asked, by host.

import type { Problem } from './problem.ts'
import { judgeHost } from './ssrf.ts'

export interface UrlOptions {
  /** Protocols allowed, with or without the colon. @default ['http', 'https'] */
  readonly protocols?: readonly string[] | undefined
  /**
   * Refuse hosts that are not the public Internet, user info and backslashes. What a name resolves to is not known here:
   * DNS rebinding can only be stopped where the connection is made. @default false
   */
  readonly ssrf?: boolean | undefined
  /** Hosts that `ssrf` lets through all the same, as `new URL()` writes them: `127.0.0.1`, `[::1]`, `intranet.example`. */
  readonly allowHosts?: readonly string[] | undefined
  /** Maximum length in characters. @default 2048 */
  readonly maxLength?: number | undefined
}

const DEFAULT_PROTOCOLS = ['http', 'https']
/** Run script whatever the caller allows. */
const SCRIPT = /^(?:javascript|vbscript|livescript|mocha):$/
const DANGEROUS = /^(?:data|file|blob|filesystem|view-source|jar|feed|about|chrome|resource|ms-\w+):$/

/** The first thing wrong with a URL. */
export function checkUrl(value: unknown, options: UrlOptions = {}): Problem | null {
  if (typeof value !== 'string') return { rule: 'type', message: 'must be a string (invalid URL)' }
  const maxLength = options.maxLength ?? 2048
  if (value.length > maxLength) {
    return { rule: 'maxLength', message: `invalid URL: longer than the maximum ${maxLength} characters` }
  }
  let url: URL
  try {
    url = new URL(value)
  } catch {
    return { rule: 'url', message: 'invalid URL: it does not parse as an absolute one' }
  }
  const allowed = (options.protocols ?? DEFAULT_PROTOCOLS).map(
    (name) => `${name.toLowerCase().replace(/:$/, '')}:`,
  )
  if (SCRIPT.test(url.protocol) || !allowed.includes(url.protocol)) {
    const danger = SCRIPT.test(url.protocol) || DANGEROUS.test(url.protocol) ? 'dangerous ' : ''
    return {
      rule: 'protocol',
      message: `invalid URL: ${danger}protocol not allowed (allowed: ${allowed.join(' ')})`,
    }
  }
  if (/[\0-\x20\x7f]/.test(value.trim())) {
    return { rule: 'url', message: 'invalid URL: control characters or blanks inside' }
  }
  return options.ssrf ? checkTarget(url, value, options.allowHosts ?? []) : null
}

function checkTarget(url: URL, value: string, allowHosts: readonly string[]): Problem | null {
  const refused = (detail: string): Problem => ({ rule: 'ssrf', message: `dangerous URL: ${detail}` })
  if (url.username || url.password || /^[^/?#]*[/\\]{2}[^/?#\\]*@/.test(value)) {
    return refused('user info before the host')
  }
  // Other parsers do not take a backslash for a slash, and find another host.
  if (value.includes('\\')) return refused('a backslash')
  let { hostname } = url
  if (allowHosts.some((host) => host.toLowerCase() === hostname)) return null
  try {
    // Only the hosts of http and its kin are normalised; whoever connects by another protocol may still understand 0x7f.1.
    hostname = new URL(`http://${hostname}`).hostname
  } catch {
    return refused('a host that does not parse')
  }
  const reason = judgeHost(hostname)
  return reason ? refused(`the host is not public (${reason})`) : null
}
