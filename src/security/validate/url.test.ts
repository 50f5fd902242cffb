import { describe, expect, it } from 'vitest'
import { checkUrl } from './url.ts'

describe('a URL', () => {
  it.each([
    'https://shop.example/path?q=1#top',
    'http://müller.example',
    'HTTPS://SHOP.EXAMPLE',
    'http://localhost:8000',
  ])('passes: %s', (url) => {
    expect(checkUrl(url)).toBeNull()
  })

  it.each([
    [7, 'type'],
    ['shop.example', 'url'],
    ['//shop.example', 'url'],
    ['http://', 'url'],
    ['https://shop.example/a b', 'url'],
    ['ht\ntps://shop.example', 'url'],
    [`https://shop.example/${'a'.repeat(2048)}`, 'maxLength'],
    ['ftp://shop.example', 'protocol'],
    ['javascript:alert(1)', 'protocol'],
    ['JaVaScRiPt:alert(1)', 'protocol'],
    ['data:text/html,x', 'protocol'],
    ['file:///etc/passwd', 'protocol'],
  ])('is refused: %j (%s)', (url, rule) => {
    expect(checkUrl(url)?.rule).toBe(rule)
  })

  it('with a protocol that runs script is dangerous, whatever is allowed', () => {
    expect(checkUrl('javascript:1', { protocols: ['javascript'] })?.message).toMatch(
      /dangerous protocol not allowed/,
    )
  })

  it('may have the protocols that the caller names, with or without a colon', () => {
    expect(checkUrl('wss://line.example', { protocols: ['WSS:'] })).toBeNull()
    expect(checkUrl('mailto:a@b.example', { protocols: ['mailto'] })).toBeNull()
  })
})

describe('with ssrf: true a host that is not the public Internet is refused:', () => {
  it.each([
    'http://127.0.0.1/',
    'http://127.1',
    'http://2130706433',
    'http://0x7f000001',
    'http://0x7f.1',
    'http://0177.0.0.1',
    'http://017700000001',
    'http://0',
    'http://127.0.0.1.',
    'http://1２7.0.0.1',
    'http://①②⑦.⓪.⓪.①',
    'http://127。0。0。1',
    'http://%31%32%37.0.0.1',
    'http://10.1.2.3',
    'http://172.16.0.1',
    'http://172.31.255.255',
    'http://192.168.1.1',
    'http://169.254.169.254/latest/meta-data/',
    'http://0xa9fea9fe',
    'http://100.64.0.1',
    'http://100.127.255.254',
    'http://100.100.100.200',
    'http://168.63.129.16',
    'http://192.0.0.192',
    'http://198.18.0.1',
    'http://203.0.113.9',
    'http://224.0.0.1',
    'http://255.255.255.255',
    'http://[::1]',
    'http://[::]',
    'http://[0:0:0:0:0:0:0:1]',
    'http://[::ffff:127.0.0.1]',
    'http://[::ffff:7f00:1]',
    'http://[::ffff:0:127.0.0.1]',
    'http://[::127.0.0.1]',
    'http://[64:ff9b::10.0.0.1]',
    'http://[64:ff9b:1::1]',
    'http://[2002:7f00:1::]',
    'http://[2001:0:1::1]',
    'http://[2001:db8::1]',
    'http://[fe80::1]',
    'http://[fec0::1]',
    'http://[fd00:ec2::254]',
    'http://[ff02::1]',
    'http://[100::1]',
    'http://localhost',
    'http://LOCALHOST.',
    'http://localhost..',
    'http://a.localhost',
    'http://printer.local',
    'http://metadata.google.internal',
    'http://metadata',
    'http://intranet',
    'http://api',
    'http://redis:6379',
    'http://api.svc',
    'http://api.shop.svc',
    'http://api.shop.svc.cluster.local',
    'http://api.svc.cluster',
    'http://db.private',
    'http://vault.service.consul',
    'http://host.docker.internal',
    'http://host.docker',
    'http://x.localdomain',
    'http://box.test',
    'http://127.0.0.1.nip.io',
    'http://app.10.0.0.7.nip.io',
    'http://app-192-168-1-9.sslip.io',
    'http://7f000001.nip.io',
    'http://--1.sslip.io',
    'http://www.localtest.me',
    'http://api.lvh.me.',
    'http://router.home.arpa',
    'http://user@shop.example',
    'http://user:pass@shop.example',
    'http://@shop.example',
    'http://shop.example\\@127.0.0.1',
    'http://127.0.0.1\\@shop.example',
  ])('%s', (url) => {
    expect(checkUrl(url, { ssrf: true })?.rule).toBe('ssrf')
  })

  it.each([
    'redis://0x7f.1',
    'redis://2130706433',
    'redis://[::1]',
    'redis://localhost',
    'mailto:a@b.example',
    'redis:x',
  ])('%s, although only http normalises hosts', (url) => {
    expect(checkUrl(url, { ssrf: true, protocols: ['redis', 'mailto'] })?.rule).toBe('ssrf')
  })

  it.each([
    'https://shop.example/',
    'http://93.184.216.34',
    'http://172.32.0.1',
    'http://100.128.0.1',
    'http://192.169.0.1',
    'http://11.0.0.1',
    'http://[2606:4700::1111]',
    'http://[::ffff:8.8.8.8]',
    'http://localhost.example.com',
    'http://private.example.com',
    'http://svc.example.com',
    'http://internal.example',
    'http://93.184.216.34.nip.io',
    'http://nip.io',
    'http://private-banking.example',
    'https://shop.example/?mail=a@b.example',
  ])('but not %s', (url) => {
    expect(checkUrl(url, { ssrf: true })).toBeNull()
  })

  it('unless it is allowed by name', () => {
    const options = { ssrf: true, allowHosts: ['127.0.0.1', '[::1]', 'Intranet.Local'] }
    expect(checkUrl('http://0x7f.1:8000/', options)).toBeNull()
    expect(checkUrl('http://[0::1]/', options)).toBeNull()
    expect(checkUrl('http://intranet.local/', options)).toBeNull()
    expect(checkUrl('http://127.0.0.2/', options)?.rule).toBe('ssrf')
    expect(checkUrl('http://x@127.0.0.1/', options)?.rule).toBe('ssrf')
  })
})
