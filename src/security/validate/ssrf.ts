// Hosts that a server must not be sent to by a stranger: itself, its network, its cloud's metadata service.
// Judges the host of a parsed WHATWG URL, where decimal, octal, hexadecimal and short IPv4 are dotted already.
// Cannot know what a name resolves to when the connection is made (DNS rebinding): only the connecting side can.

/** Ranges of IPv4 that are not the public Internet (IANA special-purpose registry): address, bits, what it is. */
const RANGES: readonly (readonly [address: number, bits: number, reason: string])[] = (
  [
    ['0.0.0.0', 8, 'this network'],
    ['10.0.0.0', 8, 'private'],
    ['100.64.0.0', 10, 'carrier-grade NAT'],
    ['168.63.129.16', 32, 'metadata service'], // Azure, on a public address
    ['127.0.0.0', 8, 'loopback'],
    ['169.254.0.0', 16, 'link-local or metadata'],
    ['172.16.0.0', 12, 'private'],
    ['192.0.0.0', 24, 'reserved'],
    ['192.0.2.0', 24, 'reserved'],
    ['192.88.99.0', 24, 'reserved'],
    ['192.168.0.0', 16, 'private'],
    ['198.18.0.0', 15, 'reserved'],
    ['198.51.100.0', 24, 'reserved'],
    ['203.0.113.0', 24, 'reserved'],
    ['224.0.0.0', 3, 'multicast or reserved'],
  ] as const
).map(([address, bits, reason]) => [ipv4(address) as number, bits, reason])

/**
 * Top-level names that no public registry delegates and that networks use inside: of home and office routers, of Kubernetes,
 * Docker and Consul, of Windows domains, of reverse look-ups, of Tor; and those reserved for tests.
 */
const LOCAL_NAME =
  /(?:^|\.)(?:localhost|local|localdomain|internal|intranet|private|lan|home|corp|mail|domain|workgroup|svc|cluster|kube|consul|docker|containers|pod|home\.arpa|in-addr\.arpa|ip6\.arpa|onion|test|invalid)$/
/** Public services that resolve a name to the address written in it; the last group is the address. */
const WRITTEN = /(?:^|[.-])(\d{1,3}(?:[.-]\d{1,3}){3})\.(?:nip\.io|sslip\.io|xip\.io|traefik\.me)$/
const WRITTEN_HEX = /(?:^|[.-])([\da-f]{8})\.(?:nip\.io|sslip\.io)$/
const WRITTEN_IPV6 = /(?:^|\.)([\da-f]{0,4}(?:-[\da-f]{0,4}){2,7})\.sslip\.io$/
/** Public names that have always resolved to the machine itself. */
const LOOPBACK_NAME = /(?:^|\.)(?:localtest\.me|lvh\.me|vcap\.me|lacolhost\.com|local\.gd|localho\.st)$/
const METADATA = /^(?:metadata|instance-data)(?:\.|$)/

function ipv4(host: string): number | undefined {
  if (!/^\d+\.\d+\.\d+\.\d+$/.test(host)) return undefined
  return host.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
}

function judgeIpv4(address: number): string {
  for (const [base, bits, reason] of RANGES) {
    const size = 2 ** (32 - bits)
    if (Math.floor(address / size) === Math.floor(base / size)) return reason
  }
  return ''
}

/** The eight groups of an IPv6 address as a URL parser serialises it: hexadecimal, at most one `::`. */
function ipv6(host: string): number[] {
  const [head = '', tail] = host.split('::')
  const groups = (part: string): number[] =>
    part ? part.split(':').map((group) => Number.parseInt(group, 16)) : []
  const left = groups(head)
  const right = tail === undefined ? [] : groups(tail)
  return [...left, ...new Array<number>(Math.max(0, 8 - left.length - right.length)).fill(0), ...right]
}

function judgeIpv6(groups: readonly number[]): string {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = groups
  const zeros = (a | b | c | d) === 0
  if (zeros && (e | f | g) === 0 && h <= 1) return h ? 'loopback' : 'unspecified'
  const low = g * 65536 + h
  // IPv4 within: mapped, compatible, translated (RFC 6052, local-use RFC 8215), 6to4.
  if (zeros && (e === 0 || e === 0xffff) && (f === 0xffff || f === 0)) return judgeIpv4(low)
  if (a === 0x64 && b === 0xff9b) return c === 1 ? 'translated private' : judgeIpv4(low)
  if (a === 0x2002) return judgeIpv4(b * 65536 + c)
  if (a === 0x2001 && (b < 0x200 || b === 0xdb8)) return 'reserved'
  if ((a & 0xfe00) === 0xfc00) return 'private'
  if ((a & 0xff80) === 0xfe80) return 'link-local'
  if ((a & 0xff00) === 0xff00) return 'multicast'
  return (a & 0xe000) === 0x2000 ? '' : 'reserved'
}

/** Judges the address in a name that resolves to it. */
function judgeWritten(host: string): string {
  const dotted = WRITTEN.exec(host)?.[1]
  if (dotted !== undefined) return judgeIpv4(ipv4(dotted.replaceAll('-', '.')) as number)
  const hex = WRITTEN_HEX.exec(host)?.[1]
  if (hex !== undefined) return judgeIpv4(Number.parseInt(hex, 16))
  const groups = WRITTEN_IPV6.exec(host)?.[1]
  return groups === undefined ? '' : judgeIpv6(ipv6(groups.replaceAll('-', ':')))
}

/** Why this host (of a parsed URL) is not the public Internet; empty when it looks like it. */
export function judgeHost(hostname: string): string {
  const host = hostname.toLowerCase().replace(/(?<!\.)\.+$/, '')
  if (host.startsWith('[')) return judgeIpv6(ipv6(host.slice(1, -1)))
  const address = ipv4(host)
  if (address !== undefined) return judgeIpv4(address)
  if (METADATA.test(host)) return 'metadata service'
  if (LOCAL_NAME.test(host)) return 'local name'
  if (LOOPBACK_NAME.test(host)) return 'loopback'
  const written = judgeWritten(host)
  if (written) return written
  return host.includes('.') ? '' : 'a name without a domain'
}
