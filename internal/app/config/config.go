// Package config is the one format of mailvow.yaml: strict YAML whose errors
// show line and source, values that carry their unit, secrets by reference to a
// file or an environment variable, and overrides from the environment. It
// promises that a file which loads is complete and consistent; whether ports are
// free and hosts answer is seen at the start. The documented example is
// generated from the types below.
package config

import (
	"time"

	"mailvow/internal/base/limit"
	"mailvow/internal/product/trust/supply"
)

// Config is a whole mailvow.yaml. The doc tags become the example's comments.
type Config struct {
	Hostname    string      `yaml:"hostname" doc:"The name of this server in the world: its MX record, its EHLO, its certificate." example:"mail.example.com" start:"on"`
	Region      string      `yaml:"region" doc:"Where this server stands and keeps its data, as customers are told. It is written down at the first start: customers of another region are not made, moved to or served here." example:"eu-central"`
	RegionNames []string    `yaml:"region_names" doc:"What others call this same region, such as your provider. A bucket, database or webhook that says another region than these is refused without an entry in the register of sub-processors with that region." example:"eu-central-1, fra1"`
	Regions     []Elsewhere `yaml:"regions" doc:"Your servers in other regions, so that who asks here for a customer of theirs hears the right address."`
	Country     string      `yaml:"country" doc:"The country in which this server stands, as ISO 3166 has it. Of a sub-processor outside the EEA, or outside this country where it is no part of the EEA, the register wants a safeguard." example:"DE"`
	Roles       []Role      `yaml:"roles" doc:"What this process does: smtp, deliver, api, console, worker. Leave out for all." example:"smtp, deliver, api, console, worker"`
	Data        Data        `yaml:"data" doc:"Where rows, bytes and keys are kept."`
	Listen      Listen      `yaml:"listen" doc:"Where the server listens, each host:port. Leave one out to close that door."`
	TLS         TLS         `yaml:"tls" doc:"Certificates: by ACME, or from your own files. Files are read again when they change."`
	SMTP        SMTP        `yaml:"smtp" doc:"How mail is taken."`
	Delivery    Delivery    `yaml:"delivery" doc:"How mail is sent."`
	DNS         DNS         `yaml:"dns" doc:"The resolver. DNSSEC answers are believed, so it should be on this machine."`
	Domains     Domains     `yaml:"domains" doc:"What customers are asked to publish for their domains, and the domains that you share."`
	Web         Web         `yaml:"web" doc:"API and console."`
	Observe     Observe     `yaml:"observe" doc:"Logs, metrics and traces."`
	Alerts      Alerts      `yaml:"alerts" doc:"Who is told of what must be looked at, each thing once. The console lists it too."`
	Backup      Backup      `yaml:"backup" doc:"Encrypted backups, made while mail flows. How often, how long and how often tried is the policy's."`
	Operator    Operator    `yaml:"operator" doc:"Who runs this server and answers for it, as its documents and its security.txt say."`
	Policy      Policy      `yaml:"policy" doc:"The privacy policy with which a new server begins. From then on it is kept with the data, in versions: mailvow policy publish changes it, not this file."`
	// SubProcessors stands last: its entries are the longest.
	SubProcessors []supply.Entry `yaml:"sub_processors" doc:"The first entries of the register of sub-processors: the companies whose machines this server speaks to, and others that get customers' data. Without an entry an endpoint outside this machine and its private networks is refused. The register is kept with the data and changed by mailvow subprocessor; from here it takes what it does not know by name, and papers that end later."`
}

// Elsewhere is the operator's server in another region.
type Elsewhere struct {
	Region string `yaml:"region" doc:"Its region." example:"us-east"`
	URL    string `yaml:"url" doc:"Where its API and console are." example:"https://us.mail.example.com"`
}

// Role is a part of the work that a process takes.
type Role string

// The roles.
const (
	RoleSMTP    Role = "smtp"
	RoleDeliver Role = "deliver"
	RoleAPI     Role = "api"
	RoleConsole Role = "console"
	RoleWorker  Role = "worker"
)

// Data says where things are kept.
type Data struct {
	Dir            string      `yaml:"dir" doc:"The folder of this node: SQLite's file, blobs, evidence." example:"/var/lib/mailvow"`
	Keys           string      `yaml:"keys" doc:"The folder of the key store. Keep it on another volume than the data and out of the data's backups." example:"/var/lib/mailvow-keys"`
	KEK            string      `yaml:"kek" doc:"The file with the key-encryption key, mode 0600. mailvow init makes it." example:"/etc/mailvow/kek"`
	KEKFormer      []string    `yaml:"kek_former" doc:"Files with former key-encryption keys: while mailvow keys rotate --kek is under way, and for a key store from before it." example:"/etc/mailvow/kek.2025"`
	Postgres       Secret      `yaml:"postgres" doc:"A PostgreSQL address instead of SQLite: for more than one node. Give file:PATH or env:NAME to keep the password out of this file." example:"file:/etc/mailvow/postgres"`
	PostgresRegion string      `yaml:"postgres_region" doc:"The region that PostgreSQL stands in, where that is not this server's." example:"eu-central"`
	S3             *S3         `yaml:"s3" doc:"An S3-compatible store for large messages and the evidence log instead of the folder."`
	KeysS3         *KeysS3     `yaml:"keys_s3" doc:"A bucket for the key store instead of the folder. Another bucket than s3's, with credentials of its own, so that a copy of the data opens nothing. Several nodes need postgres, s3 and keys_s3, and the same kek."`
	Space          Space       `yaml:"space" doc:"What to do when the disk fills."`
	Inline         limit.Bytes `yaml:"inline" doc:"Messages up to this size lie in the database, larger ones in the blob store." example:"256KiB"`
}

// S3 is a bucket.
type S3 struct {
	Endpoint  string `yaml:"endpoint" doc:"host:port of the service." example:"s3.example.net:443"`
	Bucket    string `yaml:"bucket" doc:"The bucket; it must have no versions, or deleting would not delete." example:"mailvow"`
	Region    string `yaml:"region" doc:"The region that the bucket stands in, as the service calls it; one that is neither region nor among region_names needs an entry in the register of sub-processors." example:"eu-central-1"`
	AccessKey Secret `yaml:"access_key" doc:"The name of the key: file:PATH or env:NAME." example:"file:/etc/mailvow/s3-access"`
	SecretKey Secret `yaml:"secret_key" doc:"The key itself: file:PATH or env:NAME." example:"file:/etc/mailvow/s3-secret"`
	Plaintext bool   `yaml:"plaintext" doc:"Speak HTTP without TLS: for a store on this machine only."`
}

// KeysS3 is the bucket of the key store, an S3 with other words about it.
type KeysS3 struct {
	Endpoint  string `yaml:"endpoint" doc:"host:port of the service." example:"s3.example.net:443"`
	Bucket    string `yaml:"bucket" doc:"The bucket; one that keeps versions is refused: a destroyed key would live on." example:"mailvow-keys"`
	Region    string `yaml:"region" doc:"The region that the bucket stands in, as the service calls it; one that is neither region nor among region_names needs an entry in the register of sub-processors." example:"eu-central-1"`
	AccessKey Secret `yaml:"access_key" doc:"The name of the key: file:PATH or env:NAME." example:"file:/etc/mailvow/keys-access"`
	SecretKey Secret `yaml:"secret_key" doc:"The key itself: file:PATH or env:NAME." example:"file:/etc/mailvow/keys-secret"`
	Plaintext bool   `yaml:"plaintext" doc:"Speak HTTP without TLS: for a store on this machine only."`
}

// Space are the marks of a filling disk.
type Space struct {
	Alert    limit.Bytes `yaml:"alert" doc:"Below this the server warns." example:"5GiB"`
	NoNew    limit.Bytes `yaml:"no_new_mail" doc:"Below this new mail is refused for now (452 4.3.1); what is queued goes on." example:"1GiB"`
	ReadOnly limit.Bytes `yaml:"read_only" doc:"Below this nothing is written any more." example:"64MiB"`
	Reserve  limit.Bytes `yaml:"reserve" doc:"Set aside at the start, so that deleting works on a full disk; at least twice read_only." example:"256MiB"`
}

// Listen are the doors.
type Listen struct {
	MX          string `yaml:"mx" doc:"Mail from other servers." example:":25" start:"on"`
	Submission  string `yaml:"submission" doc:"Mail from customers, STARTTLS." example:":587" start:"on"`
	Submissions string `yaml:"submissions" doc:"Mail from customers, TLS from the first byte." example:":465"`
	HTTP        string `yaml:"http" doc:"API and console without TLS: redirects to HTTPS where there is one, and answers ACME." example:":80" start:"on"`
	HTTPS       string `yaml:"https" doc:"API and console." example:":443"`
	Metrics     string `yaml:"metrics" doc:"Prometheus metrics and health, for your own network only." example:"127.0.0.1:9090" start:"on"`
}

// TLS says where certificates come from.
type TLS struct {
	Certificate string `yaml:"certificate" doc:"A PEM file with the chain." example:"/etc/mailvow/tls/fullchain.pem"`
	Key         string `yaml:"key" doc:"A PEM file with the private key, mode 0600." example:"/etc/mailvow/tls/privkey.pem"`
	ACME        *ACME  `yaml:"acme" doc:"Get and renew certificates by ACME (RFC 8555), for the names of this server that point here."`
}

// ACME is an account at a certificate authority.
type ACME struct {
	Directory string   `yaml:"directory" doc:"The authority's directory URL." example:"https://acme-v02.api.letsencrypt.org/directory"`
	Email     string   `yaml:"email" doc:"Whom the authority may write to." example:"admin@example.com"`
	Addresses []string `yaml:"addresses" doc:"Public addresses of this server, where it does not have them itself (behind NAT or a load balancer)." example:"192.0.2.10"`
	Roots     string   `yaml:"roots" doc:"A PEM file with the roots of a private authority; leave out for the system's." example:"/etc/mailvow/acme-roots.pem"`
}

// SMTP are the limits of the mail doors.
type SMTP struct {
	MaxSize            limit.Bytes   `yaml:"max_size" doc:"The largest message." example:"50MiB"`
	MaxRecipients      int           `yaml:"max_recipients" doc:"Recipients of one message." example:"1000"`
	Connections        int           `yaml:"connections" doc:"Connections at once at each mail door." example:"2000"`
	PerAddress         int           `yaml:"per_address" doc:"Connections at once from one address to each mail door." example:"50"`
	PerMinute          int           `yaml:"per_minute" doc:"New connections a minute from one address." example:"300"`
	MessagesPerMinute  int           `yaml:"messages_per_minute" doc:"New messages a minute from one address at the MX door. Who proved to be a customer is not counted." example:"6000"`
	Proxies            []string      `yaml:"proxies" doc:"Networks of your own load balancers, which must speak the PROXY protocol." example:"10.0.0.0/24"`
	PlaintextAuth      bool          `yaml:"plaintext_auth" doc:"Take passwords without TLS. Only for a network that nobody else is on."`
	NetworkCredentials bool          `yaml:"network_credentials" doc:"Let a customer's network be a credential, for senders that cannot AUTH. Who has an address today may not have it tomorrow."`
	Timeout            time.Duration `yaml:"timeout" doc:"How long a client may be silent." example:"5m"`
}

// Delivery is how mail leaves.
type Delivery struct {
	Expiry    time.Duration `yaml:"expiry" doc:"How long a message is tried before its sender is told." example:"5d"`
	Couriers  int           `yaml:"couriers" doc:"Attempts under way at once." example:"256"`
	PerSite   int           `yaml:"per_site" doc:"Attempts under way at once to one destination of one customer." example:"40"`
	Smarthost *Host         `yaml:"smarthost" doc:"Send everything through this host instead of looking up mail hosts."`
	Routes    []StaticRoute `yaml:"routes" doc:"Domains that go to a named host."`
	Allow     []string      `yaml:"allow" doc:"Private networks that customers' mail and webhooks may go to. Nothing private is allowed otherwise." example:"10.20.0.0/16"`
	Source    string        `yaml:"source" doc:"The local address that mail leaves from." example:"192.0.2.10"`
}

// Host is a named host with what it needs.
type Host struct {
	Address  string `yaml:"address" doc:"Its host:port." example:"relay.example.net:587"`
	TLS      string `yaml:"tls" doc:"TLS to it: opportunistic, verified or plain." example:"verified"`
	Username string `yaml:"username" doc:"For AUTH, if the host asks for it." example:"mailvow"`
	Password Secret `yaml:"password" doc:"For AUTH: file:PATH or env:NAME." example:"env:RELAY_PASSWORD"`
}

// StaticRoute sends a domain to a host.
type StaticRoute struct {
	Domain string `yaml:"domain" doc:"A domain, or *.domain for all below it." example:"*.internal.example.com"`
	Host   Host   `yaml:"host" doc:"Where its mail goes."`
}

// DNS is the resolver.
type DNS struct {
	Resolver string `yaml:"resolver" doc:"host:port of a validating resolver; leave out for the system's." example:"127.0.0.1:53"`
}

// Domains is what customers publish.
type Domains struct {
	SPF        string   `yaml:"spf" doc:"The SPF mechanism that lets this server's addresses send." example:"include:spf.mail.example.com"`
	ReturnPath string   `yaml:"return_path" doc:"The host that customers point bounces.<their domain> at." example:"bounces.mail.example.com"`
	Shared     []string `yaml:"shared" doc:"Your own domains, on which every customer may take single addresses." example:"in.example.com"`
}

// Web is API and console.
type Web struct {
	URL   string   `yaml:"url" doc:"What people type. Passkeys and links are bound to it." example:"https://mail.example.com"`
	Hosts []string `yaml:"hosts" doc:"Further names under which API and console may be called." example:"api.example.com"`
}

// Observe is logs, metrics, traces.
type Observe struct {
	Level string `yaml:"level" doc:"debug, info, warn or error." example:"info"`
	JSON  bool   `yaml:"json" doc:"Log lines as JSON." example:"true"`
	OTLP  string `yaml:"otlp" doc:"URL of an OpenTelemetry collector; it must be covered by a sub-processor unless it is yours. Leave out for no traces." example:"https://otel.example.com:4318"`
}

// Alerts says who is told.
type Alerts struct {
	Mail    []string     `yaml:"mail" doc:"Addresses that are written to." example:"oncall@example.com"`
	Webhook AlertWebhook `yaml:"webhook" doc:"An endpoint that is called, signed as Standard Webhooks are. Outside this machine and its private networks it needs an entry of the register of sub-processors with the purpose alerts."`
}

// AlertWebhook is an endpoint with its secret.
type AlertWebhook struct {
	URL    string `yaml:"url" doc:"Where alerts are posted." example:"https://oncall.example.com/mailvow"`
	Region string `yaml:"region" doc:"The region that it stands in, where that is not this server's." example:"eu-central"`
	Secret Secret `yaml:"secret" doc:"The secret of the signature: whsec_ and Base64 of 24 bytes or more." example:"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"`
}

// Backup says where backups go and who can open them.
type Backup struct {
	Dir        string    `yaml:"dir" doc:"A folder for backups, best on another machine's disk." example:"/mnt/backup/mailvow"`
	S3         *BackupS3 `yaml:"s3" doc:"A bucket for backups instead of the folder."`
	Recipients []string  `yaml:"recipients" doc:"Who can open a backup: public keys of age, as age-keygen prints them; put your own in the place of the example. Keep the identities away from this server; they are needed to restore only." example:"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"`
	Newest     Newest    `yaml:"newest" doc:"A second place for the newest state of key store, erasure ledger and evidence log, which are no part of a backup. Without it, keep data.keys and the data folder's evidence and erasures safe yourself."`
	Scratch    string    `yaml:"scratch" doc:"A folder for copies that do not stay, as large as the database; leave out for one in the data folder." example:"/var/tmp/mailvow"`
}

// Configured reports that there is a place for backups.
func (b *Backup) Configured() bool { return b.Dir != "" || b.S3 != nil }

// Newest is a place in which nothing older than now stays.
type Newest struct {
	Dir string    `yaml:"dir" doc:"A folder, neither in backup.dir nor copied with it." example:"/mnt/keys/mailvow"`
	S3  *NewestS3 `yaml:"s3" doc:"A bucket instead of the folder."`
}

// Configured reports that there is such a place.
func (n *Newest) Configured() bool { return n.Dir != "" || n.S3 != nil }

// BackupS3 is the bucket of backups, an S3 with other words about it.
type BackupS3 struct {
	Endpoint  string `yaml:"endpoint" doc:"host:port of the service." example:"s3.example.net:443"`
	Bucket    string `yaml:"bucket" doc:"The bucket; one that keeps versions is refused: nothing would expire in it." example:"mailvow-backup"`
	Region    string `yaml:"region" doc:"The region that the bucket stands in, as the service calls it; one that is neither region nor among region_names needs an entry in the register of sub-processors." example:"eu-central-1"`
	AccessKey Secret `yaml:"access_key" doc:"The name of the key: file:PATH or env:NAME." example:"file:/etc/mailvow/s3-access"`
	SecretKey Secret `yaml:"secret_key" doc:"The key itself: file:PATH or env:NAME." example:"file:/etc/mailvow/s3-secret"`
	Plaintext bool   `yaml:"plaintext" doc:"Speak HTTP without TLS: for a store on this machine only."`
}

// NewestS3 is the bucket of the newest state, an S3 with other words about it.
type NewestS3 struct {
	Endpoint  string `yaml:"endpoint" doc:"host:port of the service." example:"s3.example.net:443"`
	Bucket    string `yaml:"bucket" doc:"The bucket, another one than the backups' or the data's; one that keeps versions is refused: a destroyed key would live on." example:"mailvow-newest"`
	Region    string `yaml:"region" doc:"The region that the bucket stands in, as the service calls it; one that is neither region nor among region_names needs an entry in the register of sub-processors." example:"eu-central-1"`
	AccessKey Secret `yaml:"access_key" doc:"The name of the key: file:PATH or env:NAME." example:"file:/etc/mailvow/keys-access"`
	SecretKey Secret `yaml:"secret_key" doc:"The key itself: file:PATH or env:NAME." example:"file:/etc/mailvow/keys-secret"`
	Plaintext bool   `yaml:"plaintext" doc:"Speak HTTP without TLS: for a store on this machine only."`
}

// Policy is the first policy of a new server.
type Policy struct {
	Profile string `yaml:"profile" doc:"A ready policy, read at the first start only: recommended, relay, inbound, gateway, campaigns or encrypted." example:"relay"`
}

// Operator is who answers for the server.
type Operator struct {
	Name     string   `yaml:"name" doc:"The company." example:"Example Mail GmbH"`
	Address  string   `yaml:"address" doc:"Its postal address, on one line." example:"Example Street 1, 10115 Berlin, Germany"`
	Officer  string   `yaml:"officer" doc:"The data protection officer, where one was appointed. Mail to privacy@ this server opens a case." example:"Ada Example"`
	Security []string `yaml:"security" doc:"Further contacts for security.txt, as https:, mailto: or tel: addresses. Mail to security@ this server opens a case and always stands there." example:"https://example.com/security"`
	Policy   string   `yaml:"disclosure" doc:"Where your policy on vulnerability reports stands, for security.txt; the security page of this server if left out." example:"https://example.com/disclosure"`
	Language []string `yaml:"languages" doc:"In which languages reports may be written." example:"en"`
}
