import type { Command } from 'commander';
import type { Bind } from '../../context.js';
import { addDeviceCertificates } from './certificates.js';
import { addDeviceList } from './list.js';
import { addDeviceRegister } from './register.js';
import { addDeviceRemove } from './remove.js';
import { addDeviceRenew } from './renew.js';
import { addDeviceReset } from './reset.js';
import { addDeviceRevoke } from './revoke.js';
import { addDeviceShow } from './show.js';
import { addDeviceStatus } from './status.js';

export function addDeviceCommands(program: Command, bind: Bind): void {
  const device = program.command('device').description('your devices and their certificates');
  const verbs = [
    addDeviceRegister,
    addDeviceList,
    addDeviceShow,
    addDeviceRemove,
    addDeviceCertificates,
    addDeviceRenew,
    addDeviceRevoke,
    addDeviceReset,
    addDeviceStatus,
  ];
  for (const add of verbs) add(device, bind);
}
