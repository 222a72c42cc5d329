import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import java.io.ByteArrayInputStream;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.List;

/**
 * A server of MongoDB's protocol for the tests, on loopback, over an H2 file.
 * Arguments: port (0: a free one), H2 file, and for TLS an EC key (PKCS#8 PEM) and its certificate (PEM).
 * With POSTERN_STOP_WITH_STDIN=1 it ends when its stdin does, so that it does not outlive a killed test run.
 */
public class MongoJavaServer {
    /** It reports wire version 8 of itself, and the driver asks for 9: what it can do of 5.0 is enough for us. */
    record Version() implements MongoVersion {
        public int getWireVersion() { return 13; }
        public List<Integer> getVersionArray() { return List.of(5, 0, 0); }
        public String toVersionString() { return "5.0.0"; }
    }

    public static void main(String[] arguments) throws Exception {
        H2Backend backend = new H2Backend(arguments[1]);
        backend.version(new Version());
        MongoServer server = new MongoServer(backend);
        if (arguments.length > 2) {
            String pem = Files.readString(Path.of(arguments[2])).replaceAll("-----[A-Z ]+-----|\\s", "");
            byte[] certificate = Files.readAllBytes(Path.of(arguments[3]));
            server.enableSsl(
                KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(pem))),
                null,
                (X509Certificate) CertificateFactory.getInstance("X.509")
                    .generateCertificate(new ByteArrayInputStream(certificate)));
        }
        server.bind("127.0.0.1", Integer.parseInt(arguments[0]));
        Runtime.getRuntime().addShutdownHook(new Thread(server::shutdownNow));
        InetSocketAddress address = server.getLocalAddress();
        System.out.println("mongo-java-server is ready: mongodb://127.0.0.1:" + address.getPort() + "/");
        if ("1".equals(System.getenv("POSTERN_STOP_WITH_STDIN"))) {
            while (System.in.read() != -1) { }
            System.exit(0);
        }
        Thread.currentThread().join();
    }
}
