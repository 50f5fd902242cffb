import { expect, it } from 'vitest'
import { checkEmail } from './email.ts'

it.each([
  'a@b.example',
  'first.last+tag@mail.example.com',
  "o'hara@mail.example",
  'x_y-z@xn--mller-kva.example',
  'jörg@müller.example',
  '用户@例子.中国',
  `${'a'.repeat(64)}@b.example`,
])('passes: %s', (address) => {
  expect(checkEmail(address)).toBeNull()
})

it.each([
  '',
  '@',
  'nobody',
  'a@',
  '@b.example',
  'a@b',
  'a@@b.example',
  'a b@c.example',
  'a@b c.example',
  '.a@b.example',
  'a.@b.example',
  'a..b@c.example',
  'a@.example',
  'a@b..example',
  'a@b.example.',
  'a@-b.example',
  'a@b-.example',
  'a@127.0.0.1',
  'a@[127.0.0.1]',
  '"a b"@c.example',
  'a@b.example\n',
  'a\r\nBcc: x@y.example',
  'a<b>@c.example',
  'a,b@c.example',
  'a;b@c.example',
  'Name <a@b.example>',
  'a\u200b@b.example',
  'a\u202e@b.example',
  'a@b\u00a0c.example',
  'a@b\ud800.example',
  `${'a'.repeat(65)}@b.example`,
  `${'ö'.repeat(33)}@b.example`,
  `a@${'b'.repeat(64)}.example`,
  `a@${'b.'.repeat(130)}example`,
])('is refused as an invalid email: %j', (address) => {
  expect(checkEmail(address)).toMatchObject({
    rule: 'email',
    message: expect.stringMatching(/invalid email/),
  })
})

it('refuses what is no string', () => {
  expect(checkEmail({ toString: () => 'a@b.example' })?.rule).toBe('type')
})
