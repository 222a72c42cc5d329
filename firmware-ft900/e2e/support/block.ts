import { crc32 } from 'node:zlib';

export const TAG = { host: 2, ca: 4 } as const;

/** A configuration block with other values for some items: what a board was provisioned wrongly with. */
export function changed(block: Buffer, items: ReadonlyMap<number, Buffer>): Buffer {
  const parts = [block.subarray(0, 12)];
  for (let at = 12; at < block.length - 4;) {
    const tag = block.readUInt16LE(at);
    const length = block.readUInt16LE(at + 2);
    const value = items.get(tag) ?? block.subarray(at + 4, at + 4 + length);
    const head = Buffer.alloc(4);
    head.writeUInt16LE(tag, 0);
    head.writeUInt16LE(value.length, 2);
    parts.push(head, value, Buffer.alloc(-value.length & 3));
    at += 4 + length + (-length & 3);
  }
  const result = Buffer.concat([...parts, Buffer.alloc(4)]);
  result.writeUInt32LE(result.length, 8);
  result.writeUInt32LE(crc32(result.subarray(0, -4)), result.length - 4);
  return result;
}
