/** Who may ask: a key compared in constant time, and, without one, only this machine by its own names. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { InputError } from '../util/errors.ts'

const digest = (text: string) => createHash('sha256').update(text).digest()

/** Checks the `Authorization: Bearer KEY` header. Keys are compared as digests, so that time tells neither length nor content. */
export function keyChecker(key: string): (header: string | null) => void {
  const wanted = digest(key)
  return (header) => {
    const given = /^Bearer +(.+)$/i.exec(header ?? '')?.[1] ?? ''
    if (!timingSafeEqual(digest(given), wanted))
      throw new InputError('UNAUTHORIZED', header === null ? 'A key is needed' : 'The key is wrong', {
        help: 'send the header Authorization: Bearer KEY',
      })
  }
}

/** True for names and addresses that only this machine reaches. */
export function isLoopback(host: string): boolean {
  const name = host.replace(/^\[(.*)\]$/, '$1').toLowerCase()
  return name === 'localhost' || name === '::1' || /^127(?:\.\d{1,3}){3}$/.test(name) || name === '::ffff:127.0.0.1'
}

/** Refuses requests under a foreign name: a web page may make its own name point to this machine (DNS rebinding). */
export function checkHost(header: string | null): void {
  const host = (header ?? '').replace(/:\d+$/, '')
  if (!isLoopback(host))
    throw new InputError(
      'HOST_REFUSED',
      `Expected a request for this machine's own name, received ${JSON.stringify(host.slice(0, 80))}`,
      {
        help: 'use localhost or 127.0.0.1, or start the server with a key',
      },
    )
}

/** @throws InputError `HOST_OPEN` if a server without a key would be reachable from other machines. */
export function checkBinding(host: string, hasKey: boolean, insecure: boolean): void {
  if (isLoopback(host) || hasKey || insecure) return
  throw new InputError('HOST_OPEN', `On ${host} other machines reach the server, and it has no key`, {
    where: { key: '--host' },
    help: 'give a key with --api-key-env NAME, or pass --insecure if the network is trusted',
  })
}
