import * as x509 from '@peculiar/x509';
import {webcrypto as c, createHash, generateKeyPair, generateKeyPairSync} from 'node:crypto';
import {promisify} from 'node:util';
x509.cryptoProvider.set(c);
const alg={name:'ECDSA',namedCurve:'P-256'};
const ca=await c.subtle.generateKey(alg,true,['sign','verify']);
const N=1000;
async function one(pub,i){
 return x509.X509CertificateGenerator.create({serialNumber:'01'+i.toString(16).padStart(30,'0'),subject:'CN=d'+i,issuer:'CN=X',notBefore:new Date(Math.floor(Date.now()/1000)*1000),notAfter:new Date('2040-01-01'),signingKey:ca.privateKey,signingAlgorithm:{name:'ECDSA',hash:'SHA-256'},publicKey:pub,extensions:[
 new x509.BasicConstraintsExtension(false,undefined,true),new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature,true),new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.2']),new x509.SubjectAlternativeNameExtension([{type:'dns',value:'d'+i}]),new x509.SubjectKeyIdentifierExtension('00'.repeat(20)),new x509.AuthorityKeyIdentifierExtension('00'.repeat(20)),new x509.CRLDistributionPointsExtension(['http://a/b'])]});
}
const kp=await c.subtle.generateKey(alg,true,['sign','verify']);
for(let r=0;r<2;r++){let t=performance.now();for(let i=0;i<N;i++)await one(kp.publicKey,i);console.log('gen cert',(performance.now()-t)/N);}
let t=performance.now();for(let i=0;i<N;i++){(await one(kp.publicKey,i)).toString('pem')}console.log('+pem',(performance.now()-t)/N);
const g=promisify(generateKeyPair);
t=performance.now();for(let i=0;i<N;i++)await g('ec',{namedCurve:'P-256',publicKeyEncoding:{type:'spki',format:'der'},privateKeyEncoding:{type:'pkcs8',format:'pem'}});console.log('genkey',(performance.now()-t)/N);
t=performance.now();for(let i=0;i<N;i++)generateKeyPairSync('ec',{namedCurve:'P-256',publicKeyEncoding:{type:'spki',format:'der'},privateKeyEncoding:{type:'pkcs8',format:'pem'}});console.log('genkey sync',(performance.now()-t)/N);
const gen=await x509.X509CrlGenerator.create({issuer:'CN=X',thisUpdate:new Date('2026-01-01'),nextUpdate:new Date('2055-01-01'),signingKey:ca.privateKey,signingAlgorithm:{name:'ECDSA',hash:'SHA-256'},entries:[{serialNumber:'0a'},{serialNumber:'0b',reason:1}]});
console.log(gen.toString('pem'));
